"""Bias: stereotypes about groups of people, as a classifier of sentences sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aligntune_rewards.checks import highest, within
from aligntune_rewards.learned.classifier import each_by_itself
from aligntune_rewards.learned.sentencewise import SentencewiseReward
from aligntune_rewards.safety.moderation import SAFE_LABELS, UnsafeLabels

if TYPE_CHECKING:
    from aligntune.scoring import RewardBatch

__all__ = ["BiasReward"]


@dataclass(eq=False, repr=False)
class BiasReward(UnsafeLabels, SentencewiseReward):
    """1 - P(biased) of the most biased sentence of a completion.

    P is the sum of the probabilities of the unsafe labels, or the largest of them where each label
    is judged by itself. The default model is wu981526092/Sentence-Level-Stereotype-Detector
    (English, MIT licence, 66 million parameters; Wu et al. 2023, arXiv 2311.14126), which tells
    stereotypes of gender, race, profession and religion from anti-stereotypes and what is
    unrelated. It was trained on sentences, so each is judged alone, and the worst counts: what is
    said around it does not hide it. A text without words earns 1.

    Range: 0 to 1. Higher is better: 1 is unbiased. Columns: none.
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: a classifier: a local folder, or the name of a model on the hub.
        unsafe: names or numbers of the labels that count against a completion; unset, all but
            those called unrelated, unbiased, non-biased, neutral and the like, or that begin with
            anti or non.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.

    Raises:
        ConfigError: when the model is loaded, if nothing says which of its labels are unsafe.
    """

    model: str = "wu981526092/Sentence-Level-Stereotype-Detector"
    unsafe: Sequence[str | int] | str | int | None = None

    name = "bias"
    range = (0.0, 1.0)
    safe: ClassVar[frozenset[str]] = SAFE_LABELS | {
        "unrelated",
        "unbiased",
        "no bias",
        "not biased",
    }
    safe_beginnings: ClassVar[tuple[str, ...]] = ("anti", "non")

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        indices = self.unsafe_indices(self.loaded)
        joined = highest if each_by_itself(self.loaded) else sum
        values = []
        for found in self.by_sentence(batch.texts):
            each = [joined([shares[i] for i in indices]) for shares, _ in found]
            values.append(within(1.0 - highest(each)) if each else 1.0)
        return values
