"""Whether a completion says what its reference says, and nothing against it, by a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch
from aligntune_rewards.checks import highest, whole, within
from aligntune_rewards.learned.classifier import ClassifierReward, labels_of, listed
from aligntune_rewards.reference.references import reference_texts
from aligntune_rewards.words import sentences

if TYPE_CHECKING:
    from aligntune_rewards.learned.models import Loaded

__all__ = ["FactualCorrectnessReward", "parts_of"]

_MODEL = "MoritzLaurer/mDeBERTa-v3-base-xnli-multilingual-nli-2mil7"
_NAMES = {"entailment": ("entail",), "contradiction": ("contradict",)}


@dataclass(eq=False, repr=False)
class FactualCorrectnessReward(ClassifierReward):
    """Whether the completion entails its reference and contradicts it nowhere.

    P(the completion entails the reference) · (1 - the largest P(the reference contradicts s) over
    the sentences s of the completion), by a classifier of natural language inference. So an answer
    that names several candidates earns little: it entails the right one, and one of its sentences
    contradicts it. What the completion says beyond the reference is not judged. Of several
    references the one with the best value counts. A completion without text earns 0.

    Of a completion with more than `most_sentences` sentences, neighbours are read together. What is
    longer than the model reads loses its beginning, which the log counts. The default model is
    MoritzLaurer/mDeBERTa-v3-base-xnli-multilingual-nli-2mil7 (100 languages, 279 million
    parameters, 512 tokens, MIT).

    Range: 0 to 1. Higher is better. Columns: the reference, best as a whole sentence ("The capital
    of France is Paris.", not "Paris"); a row without one is left out (None).
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: a classifier of premise and hypothesis: a local folder, or the name of a model on the
            hub.
        entailment: name or number of its label for entailment; unset, the one whose name holds
            "entail" but not "not".
        contradiction: the same for contradiction; unset, the one whose name holds "contradict". A
            classifier that has none (entailment or not) cannot be used.
        most_sentences: into how many parts a completion is cut at most.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.

    Raises:
        ConfigError: when the model is loaded, if it has no such labels.
        TypeError: when scoring, if a reference is no text.
    """

    model: str = _MODEL
    entailment: str | int | None = None
    contradiction: str | int | None = None
    most_sentences: int = 32

    name = "factual_correctness"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)
    pinned: ClassVar[Mapping[str, str]] = {_MODEL: "b5113eb38ab63efdd7f280f8c144ea8b13f978ce"}

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("most_sentences", self.most_sentences, 1)

    def check(self, loaded: Loaded) -> None:
        places = {name: self._place(name, loaded) for name in _NAMES}
        if len(set(places.values())) == 1:
            raise ConfigError(
                f"{self.said_by}: params.entailment and params.contradiction name the same label "
                f"of {self.model!r}"
            )

    def compute(self, text: str, reference: Any = None) -> float | None:
        """Score one completion; `compute_batch` is faster for many."""
        return self.compute_batch(RewardBatch.one(text, reference=reference))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        given = [None] * len(batch) if batch.references is None else batch.references
        references = [reference_texts(each) for each in given]
        cut = {text: parts_of(text, self.most_sentences) for text in batch.texts}
        pairs = [
            pair
            for text, each in zip(batch.texts, references, strict=True)
            for right in each
            for pair in ((text, right), *((right, part) for part in cut[text]))
        ]
        said = self.probabilities(list(dict.fromkeys(pairs)))
        return [
            highest(self._value(text, right, cut[text], said) for right in each) if each else None
            for text, each in zip(batch.texts, references, strict=True)
        ]

    def probabilities(
        self, pairs: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], tuple[float, float]]:
        """For each premise and hypothesis, the probabilities of entailment and contradiction."""
        if not pairs:
            return {}
        premises, hypotheses = zip(*pairs, strict=True)
        shares = self.logits(RewardBatch(hypotheses, premises), "pair").double().softmax(dim=1)
        columns = [shares[:, self._place(name, self.loaded)].tolist() for name in _NAMES]
        return dict(zip(pairs, zip(*columns, strict=True), strict=True))

    def _value(
        self,
        text: str,
        right: str,
        parts: Sequence[str],
        said: Mapping[tuple[str, str], tuple[float, float]],
    ) -> float:
        if not parts:
            return 0.0
        against = highest(said[right, part][1] for part in parts)
        return within(said[text, right][0] * (1.0 - against))

    def _place(self, name: str, loaded: Loaded) -> int:
        """The place of the label for entailment or contradiction."""
        if (wanted := getattr(self, name)) is not None:
            return self.index(wanted, name, loaded)
        labels = labels_of(loaded)
        found = [
            index
            for index, label in enumerate(labels)
            if any(part in label.casefold() for part in _NAMES[name])
            and "not" not in label.casefold()
        ]
        if len(found) != 1:
            raise ConfigError(
                f"{self.said_by}: the labels of {self.model!r} are {listed(labels)}; set "
                f"params.{name} to the one that stands for {name}"
            )
        return found[0]


def parts_of(text: str, most: int) -> list[str]:
    """The sentences of a text; where there are too many, neighbours together."""
    found = sentences(text)
    size = -(-len(found) // most)
    return [" ".join(found[i : i + size]) for i in range(0, len(found), size)] if found else []
