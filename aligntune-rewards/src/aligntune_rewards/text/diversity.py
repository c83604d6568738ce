"""Distinct n-grams, so counted that neither length nor strange words earn anything."""

from __future__ import annotations

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import number, whole
from aligntune_rewards.text.variety import ENOUGH, FAR, WINDOW, distinct, new_share, units

__all__ = ["DiversityReward"]


class DiversityReward(RewardFunction):
    """How little the completion repeats itself, from 0 to 1; ordinary prose has 1.

    distinct-n (Li et al. 2016, arXiv 1510.03055) is the number of different n-grams over the number
    of n-grams. It falls with length, so it is taken as the mean over every stretch of `window`
    words. What repeats itself over a longer distance is found by the share of runs of eight words
    that come for the first time. The value is min(1, smaller of both / `enough`): more variety than
    prose has earns nothing, so that lists of rare words do not beat an answer. A text of fewer than
    `min_words` words gets that share of it; one without words 0.

    Words count without case, marks on letters, invisible characters and look-alike letters; all
    numbers are one word. A letter of a script without spaces is a word of its own.

    Range: 0 to 1. Higher is better. Columns: none.

    Args:
        n: words in an n-gram.
        window: words in a stretch, more than n.
        enough: how much earns 1; bigrams of prose have 0.9 and more, of programs 0.8.
        min_words: from how many words on the full value is earned; 0 takes any text.

    Raises:
        ValueError: for a parameter out of its bounds.
    """

    name = "diversity"
    range = (0.0, 1.0)

    def __init__(
        self, n: int = 2, window: int = WINDOW, enough: float = ENOUGH, min_words: int = 10
    ) -> None:
        whole("n", n, 1)
        whole("window", window, n + 1)
        whole("min_words", min_words, 0)
        number("enough", enough)
        if not 0.0 < enough <= 1.0:
            raise ValueError(f"enough is {enough}; it must lie above 0 and not above 1")
        self.n = n
        self.window = window
        self.enough = enough
        self.min_words = min_words

    def compute(self, text: str) -> float | None:
        given = units(text)
        if not given:
            return 0.0
        least = min(distinct(given, self.n, self.window), new_share(given, FAR))
        long = min(1.0, len(given) / max(1, self.min_words))
        return min(1.0, least / self.enough) * long
