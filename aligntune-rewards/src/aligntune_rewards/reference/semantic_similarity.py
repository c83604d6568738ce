"""How near the meaning of a completion is to that of its reference, by sentence vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.scoring import RewardBatch
from aligntune_rewards.checks import highest, within
from aligntune_rewards.learned.embedder import EMBEDDER, EmbedderReward
from aligntune_rewards.reference.references import reference_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SemanticSimilarityReward"]


@dataclass(eq=False, repr=False)
class SemanticSimilarityReward(EmbedderReward):
    """max(0, cosine) of the vectors of the completion and of its reference.

    Vectors are those of any model of sentence-transformers (Reimers and Gurevych 2019, arXiv
    1908.10084), pooled as the model says; of an encoder that says nothing of that, the mean of its
    last hidden states is taken. Of several references the nearest counts. A completion without text
    earns 0. The default model is sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2 (50
    languages, 118 million parameters, 128 tokens, Apache 2.0).

    Range: 0 to 1. Higher is better; a cosine below 0 earns 0. Columns: the reference; a row without
    one is left out (None). It does not see negation well: "it is safe" and "it is not safe" are
    near each other; `factual_correctness` tells them apart.
    Needs `pip install "aligntune-rewards[embeddings]"`.

    Args:
        model: a model of sentence-transformers, or an encoder: a local folder, or the name of a
            model on the hub.
        prefix: what stands before each text, as some models want it (`"query: "` of E5); unset, the
            default prompt that the model names, if it does.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.

    Raises:
        TypeError: when scoring, if a reference is no text.
    """

    model: str = EMBEDDER

    name = "semantic_similarity"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)

    def compute(self, text: str, reference: Any = None) -> float | None:
        """Score one completion; `compute_batch` is faster for many."""
        return self.compute_batch(RewardBatch.one(text, reference=reference))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        given = [None] * len(batch) if batch.references is None else batch.references
        references = [reference_texts(each) for each in given]
        pairs = [
            (text, right)
            for text, each in zip(batch.texts, references, strict=True)
            for right in each
        ]
        near = iter(self.cosines(pairs))
        found: list[float | None] = []
        for text, each in zip(batch.texts, references, strict=True):
            values = [next(near) for _ in each]
            best = within(highest(values)) if values else None
            found.append(best if best is None or text.strip() else 0.0)
        return found
