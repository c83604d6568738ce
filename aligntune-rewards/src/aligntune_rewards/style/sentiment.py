"""Sentiment: how near the mood of a completion is to the one that is wanted."""

from __future__ import annotations

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import need
from aligntune_rewards.style.valence import valences, weighted_mean

__all__ = ["SentimentReward"]

_TARGETS = ("positive", "neutral", "negative")
# From here on a text is as positive as it needs to be: gushing earns nothing more.
_ENOUGH = 0.5


class SentimentReward(RewardFunction):
    """How near the mood of an English completion is to the one that is wanted.

    The mood m is the mean of VADER's compound score (Hutto & Gilbert 2014; the library
    vaderSentiment) over the different sentences, weighted by their words: of a whole text it
    saturates. It lies between -1 and 1. The value is min(1, (m + 1) / 1.5) for the target
    `"positive"`, so that m = 0.5 is enough, the mirror image for `"negative"`, 1 - |m| for
    `"neutral"`, and 1 - |m - t| / (1 + |t|) for a number t. A text without words earns 0.

    Range: 0 to 1. Higher is better. Columns: none. It does not see what is spoken of, irony, or
    whether the mood is meant. Needs `pip install "aligntune-rewards[text]"`.

    Args:
        target: `"positive"`, `"neutral"`, `"negative"`, or a mood from -1 to 1.

    Raises:
        ValueError: for another target.
    """

    name = "sentiment"
    range = (0.0, 1.0)

    def __init__(self, target: str | float = "positive") -> None:
        number = isinstance(target, int | float) and not isinstance(target, bool)
        if target not in _TARGETS and not (number and -1.0 <= float(target) <= 1.0):
            raise ValueError(
                f"target is {target!r}; it is {', '.join(_TARGETS)}, or a number from -1 to 1"
            )
        self.target = target

    def load(self) -> None:
        """See that VADER is installed."""
        need("vaderSentiment", "text", "reward 'sentiment'")

    def compute(self, text: str) -> float | None:
        if not any(map(str.isalnum, text)):
            return 0.0
        mood = weighted_mean(valences(text))
        if isinstance(self.target, int | float):
            return 1.0 - abs(mood - self.target) / (1.0 + abs(self.target))
        if self.target == "neutral":
            return 1.0 - abs(mood)
        towards = mood if self.target == "positive" else -mood
        return min(1.0, (towards + 1.0) / (_ENOUGH + 1.0))
