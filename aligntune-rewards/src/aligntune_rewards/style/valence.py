"""VADER's valence of a text: how positive or negative its sentences are, on average."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aligntune_rewards.visible import passages

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["valences", "weighted_mean"]

# VADER takes time in proportion to the square of what it is given at once.
_LONGEST = 40
_EMOJI = 20  # in a sentence; each becomes several words, and more say no more


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def valences(text: str) -> list[tuple[float, int]]:
    """VADER's compound score of each different sentence, -1 to 1, and its number of words."""
    analyzer = _analyzer()
    return [
        (
            float(analyzer.polarity_scores(_few(sentence, analyzer.emojis))["compound"]),
            len(sentence.split()),
        )
        for sentence in passages(text, _LONGEST)
    ]


def _few(sentence: str, emojis: Container[str]) -> str:
    """The sentence with its first emoji, and without the others."""
    if sentence.isascii():
        return sentence
    places = [index for index, char in enumerate(sentence) if char in emojis]
    dropped = set(places[_EMOJI:])
    if not dropped:
        return sentence
    return "".join(char for index, char in enumerate(sentence) if index not in dropped)


def weighted_mean(found: list[tuple[float, int]]) -> float:
    """The mean of values by their weights; 0 where there are none."""
    total = sum(weight for _, weight in found)
    return sum(value * weight for value, weight in found) / total if total else 0.0
