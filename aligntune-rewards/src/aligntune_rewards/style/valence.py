"""VADER's valence of a text: how positive or negative its sentences are, on average."""

from __future__ import annotations

from functools import cache
from typing import Any

from aligntune_rewards.visible import passages

__all__ = ["valences", "weighted_mean"]

# VADER takes time in proportion to the square of what it is given at once.
_LONGEST = 40


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def valences(text: str) -> list[tuple[float, int]]:
    """VADER's compound score of each different sentence, -1 to 1, and its number of words."""
    analyzer = _analyzer()
    return [
        (float(analyzer.polarity_scores(sentence)["compound"]), len(sentence.split()))
        for sentence in passages(text, _LONGEST)
    ]


def weighted_mean(found: list[tuple[float, int]]) -> float:
    """The mean of values by their weights; 0 where there are none."""
    total = sum(weight for _, weight in found)
    return sum(value * weight for value, weight in found) / total if total else 0.0
