"""Rewards from one vector per text, by any model of sentence-transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aligntune.scoring import RewardBatch
from aligntune_rewards.checks import within
from aligntune_rewards.learned.inputs import batches, encoded, padded
from aligntune_rewards.learned.model_reward import ModelReward

if TYPE_CHECKING:
    import torch

    from aligntune_rewards.learned.models import Kind

__all__ = ["EMBEDDER", "EmbedderReward"]

EMBEDDER = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"


@dataclass(eq=False, repr=False)
class EmbedderReward(ModelReward):
    """A reward from the cosine of two texts' vectors."""

    prefix: str | None = None

    kind: ClassVar[Kind] = "embedder"
    pinned: ClassVar[Mapping[str, str]] = {EMBEDDER: "86741b4e3f5cb7765a600d3a3d55a0f6a6cb443d"}

    def cosines(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The cosine of each pair of texts, from -1 to 1; each different text is read once."""
        if not pairs:
            return []
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        place = {text: index for index, text in enumerate(texts)}
        vectors = self.embedded(texts)
        return [within(float(vectors[place[a]] @ vectors[place[b]]), -1.0) for a, b in pairs]

    def embedded(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit vectors of texts, shape (texts, size), float64 on the CPU; 0 where there is none."""
        import torch

        loaded = self.loaded
        model = loaded.model
        before = self.prefix
        if before is None:
            before = model.prompts.get(model.default_prompt_name or "", "")
        rows = encoded(
            RewardBatch([before + text for text in texts]),
            loaded,
            "completion",
            self.longest,
            self.said_by,
        )
        found: list[torch.Tensor | None] = [None] * len(texts)
        for indices in batches([len(row["input_ids"]) for row in rows], self.batch_size):
            with torch.no_grad():
                made = model(dict(padded([rows[i] for i in indices], loaded)))
            for place, index in enumerate(indices):
                found[index] = made["sentence_embedding"][place].double().cpu()
        stacked = torch.stack([vector for vector in found if vector is not None])
        return torch.nn.functional.normalize(stacked, dim=-1)
