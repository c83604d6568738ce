"""Relevance: whether a completion is about what the prompt asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch
from aligntune_rewards.checks import number, within
from aligntune_rewards.learned.classifier import labels_of, listed
from aligntune_rewards.learned.embedder import EMBEDDER, EmbedderReward
from aligntune_rewards.learned.inputs import batches, encoded, padded, plain
from aligntune_rewards.text.topic import overlap, said_anew

if TYPE_CHECKING:
    from aligntune_rewards.learned.models import Kind, Loaded

__all__ = ["Backend", "RelevanceReward"]

Backend = Literal["embedding", "cross-encoder", "lexical"]
CROSS_ENCODER = "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1"


@dataclass(eq=False, repr=False)
class RelevanceReward(EmbedderReward):
    """Whether the completion is about what the prompt asks, from 0 to 1.

    min(1, max(0, s) / `enough`), where s says how near the prompt and the completion are: the
    cosine of their vectors (`backend: embedding`, any model of sentence-transformers), or
    sigmoid(logit) of a cross-encoder that was trained to rank answers (`backend: cross-encoder`). A
    completion that is near enough has 1: being yet nearer, as the prompt itself is, earns nothing.

    Sentences whose words all stand in the prompt are left out first, if together they hold more
    than half of the prompt's words, so that copying the prompt earns nothing; a completion of which
    nothing is left earns 0. A row whose prompt is empty is left out (None). Default models:
    sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2 (50 languages, 118 million
    parameters, 128 tokens) and cross-encoder/mmarco-mMiniLMv2-L12-H384-v1 (14 languages, 118
    million parameters, 512 tokens), both Apache 2.0.

    `backend: lexical` uses no model: s is the share of the prompt's content words (English function
    words left out) that the completion uses too. It cannot tell an answer from a list of the
    prompt's words, and is logged as `relevance[lexical]`, so that nobody takes it for the other.

    Range: 0 to 1. Higher is better. Columns: none; the prompt is read. It does not see whether the
    answer is right. Needs `pip install "aligntune-rewards[embeddings]"`; the cross-encoder
    `aligntune-rewards[models]`.

    Args:
        backend: `"embedding"`, `"cross-encoder"` or `"lexical"`.
        model: a model for that backend: a local folder, or the name of a model on the hub.
        enough: the nearness that earns 1.
        prefix: with vectors, what stands before each text, as some models want it (`"query: "` of
            E5); unset, the default prompt that the model names, if it does.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`; none of
    them is taken with `backend: lexical`.

    Raises:
        ConfigError: when the model is loaded, if a cross-encoder has several labels.
        ValueError: when scoring, if there is no prompt.
    """

    model: str = EMBEDDER
    backend: Backend = "embedding"
    enough: float = 0.5

    name = "relevance"
    range = (0.0, 1.0)
    pinned: ClassVar[Mapping[str, str]] = {
        **EmbedderReward.pinned,
        CROSS_ENCODER: "1427fd652930e4ba29e8149678df786c240d8825",
    }

    def __post_init__(self) -> None:
        if self.backend not in get_args(Backend):
            raise ValueError(
                f"backend is {self.backend!r}; it is one of {', '.join(get_args(Backend))}"
            )
        number("enough", self.enough)
        if not 0.0 < self.enough <= 1.0:
            raise ValueError(f"enough is {self.enough}; it must lie above 0 and not above 1")
        if self.backend == "lexical":
            self._refuse_model_parameters()
            self.name = "relevance[lexical]"
            self.cost = "inline"  # type: ignore[assignment]
        if self.backend == "cross-encoder":
            if self.prefix is not None:
                raise ValueError("prefix has no effect with backend 'cross-encoder'")
            if self.model == EMBEDDER:
                self.model = CROSS_ENCODER
        super().__post_init__()

    def _refuse_model_parameters(self) -> None:
        for each in fields(self):
            usual = each.default if each.default is not MISSING else {}
            if each.name not in ("backend", "enough") and getattr(self, each.name) != usual:
                raise ValueError(f"{each.name} has no effect with backend 'lexical'")

    @property
    def needed_kind(self) -> Kind:
        return "embedder" if self.backend == "embedding" else "classifier"

    def load(self) -> None:
        """Load the model, if there is one.

        Raises:
            UnavailableError: if a package is missing. ConfigError: if the model cannot be used.
        """
        if self.backend != "lexical":
            super().load()

    def check(self, loaded: Loaded) -> None:
        if self.backend == "cross-encoder" and len(labels := labels_of(loaded)) > 1:
            raise ConfigError(
                f"{self.said_by}: the labels of {self.model!r} are {listed(labels)}; a "
                "cross-encoder has one, whose logit says how well an answer fits a question"
            )

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        if batch.prompts is None:
            raise ValueError("it compares a completion with its prompt, and no prompts are given")
        prompts = [plain(prompt) for prompt in batch.prompts]
        rest = [said_anew(text, prompt) for text, prompt in zip(batch.texts, prompts, strict=True)]
        pairs = [(p, r) for p, r in zip(prompts, rest, strict=True) if p.strip() and r]
        near = dict(zip(pairs, self._nearness(pairs), strict=True))
        return [
            # Nothing can be said of a row whose prompt is empty.
            None if not p.strip() else within(near.get((p, r), 0.0) / self.enough)
            for p, r in zip(prompts, rest, strict=True)
        ]

    def _nearness(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        if self.backend == "lexical":
            return [overlap(prompt, text) for prompt, text in pairs]
        return self.cosines(pairs) if self.backend == "embedding" else self._ranked(pairs)

    def _ranked(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """sigmoid(logit) of each prompt with its completion."""
        import torch

        loaded = self.loaded
        if not pairs:
            return []
        given = RewardBatch([text for _, text in pairs], [prompt for prompt, _ in pairs])
        rows = encoded(given, loaded, "pair", self.longest, self.said_by)
        found = [0.0] * len(rows)
        for indices in batches([len(row["input_ids"]) for row in rows], self.batch_size):
            with torch.no_grad():
                logits = loaded.model(**padded([rows[i] for i in indices], loaded)).logits
            for place, index in enumerate(indices):
                found[index] = float(logits[place, 0].double().sigmoid())
        return found
