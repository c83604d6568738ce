"""BERTScore: each token of one text finds its nearest in the other, by an encoder's vectors."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch
from aligntune_rewards.checks import highest, number, whole, within
from aligntune_rewards.learned.inputs import batches, encoded, padded
from aligntune_rewards.learned.model_reward import ModelReward
from aligntune_rewards.reference.bertscore_layers import best_layer
from aligntune_rewards.reference.references import reference_texts

if TYPE_CHECKING:
    import torch

    from aligntune_rewards.learned.models import Kind, Loaded

__all__ = ["BertscoreReward", "Measure"]

logger = logging.getLogger("aligntune")

Measure = Literal["f", "precision", "recall"]


@dataclass(eq=False, repr=False)
class BertscoreReward(ModelReward):
    """BERTScore (Zhang et al. 2020, arXiv 1904.09675) of the completion against its references.

    With x the unit vectors of the reference's tokens and y those of the completion's, by the hidden
    states of an encoder after `layer` layers: recall R = mean over x of max over y of x·y,
    precision P the mean over y of max over x, F = 2PR/(P + R). As in the authors' package, tokens
    that begin and end a text may be matched but are not averaged over, and idf weights are not
    used. Negative values become 0. A completion without tokens earns 0. Of several references the
    one with the best value counts. The default model is google-bert/bert-base-multilingual-cased
    (104 languages, 178 million parameters, Apache 2.0) after 9 layers, as the package has it.

    Values of most encoders lie close together near 1. `baseline` spreads them: it is what unrelated
    texts have, as the package lists it for many models, and (value - b)/(1 - b) is then the reward.

    Range: 0 to 1. Higher is better. Columns: the reference; a row without one is left out (None).
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: an encoder: a local folder, or the name of a model on the hub.
        layer: after how many layers; unset, the best one of the models that the authors measured
            (`aligntune_rewards.reference.bertscore_layers`; 40 of microsoft/deberta-xlarge-mnli),
            and of any other the last, which the log says.
        measure: `"f"`, `"precision"` or `"recall"`. Recall does not fall with additions, nor
            precision with omissions: use them beside a reward that sees the other side.
        baseline: b of the formula, for this measure; unset, values are as they are.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.

    Raises:
        ConfigError: when the model is loaded, if it has fewer layers.
        TypeError: when scoring, if a reference is no text.
    """

    model: str = "google-bert/bert-base-multilingual-cased"
    layer: int | None = None
    measure: Measure = "f"
    baseline: float | None = None

    name = "bertscore"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)
    kind: ClassVar[Kind] = "encoder"
    pinned: ClassVar[Mapping[str, str]] = {
        "google-bert/bert-base-multilingual-cased": "3f076fdb1ab68d5b2880cb87a0886f315b8146f8"
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self._count: int | None = None  # the layers of the model, once it is loaded
        if self.measure not in get_args(Measure):
            raise ValueError(
                f"measure is {self.measure!r}; it is one of {', '.join(get_args(Measure))}"
            )
        if self.layer is not None:
            whole("layer", self.layer, 0)
        if self.baseline is not None:
            number("baseline", self.baseline)
        if self.baseline is not None and not -1.0 < self.baseline < 1.0:
            raise ValueError(f"baseline is {self.baseline}; it must lie between -1 and 1")
        if self.layer is None:
            self.layer = best_layer(self.model)

    def check(self, loaded: Loaded) -> None:
        if loaded.model.config.is_encoder_decoder:
            raise ConfigError(
                f"{self.said_by}: {self.model!r} is an encoder with a decoder; set params.model to "
                "an encoder"
            )
        self._count = count = int(loaded.model.config.num_hidden_layers)
        if self.layer is None:
            logger.info(
                "%s: nobody measured which layer of %r serves best, so it is the last (%d); "
                "params.layer sets another",
                self.said_by,
                self.model,
                count,
            )
        if self.layer is not None and self.layer > count:
            raise ConfigError(
                f"{self.said_by}: params.layer is {self.layer}, and {self.model!r} has {count} "
                "layers"
            )

    def record(self) -> dict[str, Any]:
        """The layer that counts, once the model is loaded."""
        layer = self._count if self.layer is None else self.layer
        return {} if layer is None else {"layer": layer}

    def compute(self, text: str, reference: Any = None) -> float | None:
        """Score one completion; `compute_batch` is faster for many."""
        return self.compute_batch(RewardBatch.one(text, reference=reference))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        given = [None] * len(batch) if batch.references is None else batch.references
        references = [reference_texts(each) for each in given]
        asked = [text for text, each in zip(batch.texts, references, strict=True) if each]
        wanted = [text for each in references for text in each]
        vectors = self.vectors(list(dict.fromkeys([*asked, *wanted])))
        return [
            highest(self._value(vectors[text], vectors[right]) for right in each) if each else None
            for text, each in zip(batch.texts, references, strict=True)
        ]

    def vectors(self, texts: Sequence[str]) -> dict[str, tuple[torch.Tensor, list[bool]]]:
        """Unit vectors of each text's tokens, and which of them are averaged over."""
        import torch

        loaded = self.loaded
        if not texts:
            return {}
        rows = encoded(RewardBatch(list(texts)), loaded, "completion", self.longest, self.said_by)
        found = {}
        for indices in batches([len(row["input_ids"]) for row in rows], self.batch_size):
            inputs = padded([rows[i] for i in indices], loaded)
            with torch.no_grad():
                made = loaded.model(**inputs, output_hidden_states=True)
            states = made.hidden_states[-1 if self.layer is None else self.layer].float().cpu()
            for place, index in enumerate(indices):
                ids = rows[index]["input_ids"]
                unit = torch.nn.functional.normalize(states[place, : len(ids)], dim=-1)
                found[texts[index]] = (unit, self._counted(texts[index], ids))
        return found

    def _counted(self, text: str, ids: Sequence[int]) -> list[bool]:
        """Which tokens are words; of a text of none, none is."""
        tokenizer = self.loaded.tokenizer
        around = {tokenizer.cls_token_id, tokenizer.sep_token_id}
        if not text.strip():
            return [False] * len(ids)
        return [token not in around for token in ids]

    def _value(
        self, said: tuple[torch.Tensor, list[bool]], right: tuple[torch.Tensor, list[bool]]
    ) -> float:
        (y, in_y), (x, in_x) = said, right
        if not any(in_y) or not any(in_x):
            return 0.0
        near = y @ x.T
        precision = float(near.amax(dim=1)[in_y].double().mean())
        recall = float(near.amax(dim=0)[in_x].double().mean())
        total = precision + recall
        value = {
            "precision": precision,
            "recall": recall,
            "f": 0.0 if min(precision, recall) <= 0 else 2 * precision * recall / total,
        }[self.measure]
        if self.baseline is not None:
            value = (value - self.baseline) / (1.0 - self.baseline)
        return within(value)
