"""Flesch's formulas: how near a text is to the reading level that is wanted."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, get_args

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import number, whole
from aligntune_rewards.text.syllables import syllables
from aligntune_rewards.words import sentences, without

__all__ = ["Formula", "ReadabilityReward", "level"]

Formula = Literal["grade", "ease"]

_WORD = re.compile(r"[a-z]+(?:['\u2019][a-z]+)*")
_FEW = 4  # a sentence of fewer words is part of its neighbour
# What is aimed at, what is near enough, and how far beyond that nothing is earned.
_DEFAULTS: dict[str, tuple[float, float, float]] = {
    "grade": (8.0, 1.0, 6.0),
    "ease": (65.0, 5.0, 30.0),
}


class ReadabilityReward(RewardFunction):
    """How near an English completion is to a reading level, from 0 to 1.

    With w words, s sentences and y syllables, the level is the Flesch-Kincaid grade
    0.39 w/s + 11.8 y/w - 15.59 (Kincaid et al. 1975; years of school), or the Flesch reading ease
    206.835 - 1.015 w/s - 84.6 y/w (Flesch 1948; 100 is very easy). The value is 1 within
    `tolerance` of the target and falls in a straight line to 0 at `width` beyond that.

    Syllables are counted by the rules in `aligntune_rewards.text.syllables`. So that the formula
    cannot be played: a sentence of fewer than four words counts as part of its neighbour, one that
    comes again does not count, a text of fewer than `min_words` words gets that share of its value,
    and the value is multiplied by the share of its letters that are a to z. Where that is below a
    half the formula says nothing: the completion earns 0, counted as `"not English"`.

    Range: 0 to 1. Higher is better. Columns: none.

    Args:
        formula: `"grade"` or `"ease"`.
        target: the level that is wanted; 8 for the grade, 65 for the ease.
        tolerance: how far from the target still earns 1; 1 for the grade, 5 for the ease.
        width: how far beyond that nothing is earned; 6 for the grade, 30 for the ease.
        min_words: from how many words on the full value is earned; 0 takes any text.

    Raises:
        ValueError: for a parameter out of its bounds.
    """

    name = "readability"
    range = (0.0, 1.0)

    def __init__(
        self,
        formula: Formula = "grade",
        target: float | None = None,
        tolerance: float | None = None,
        width: float | None = None,
        min_words: int = 20,
    ) -> None:
        if formula not in get_args(Formula):
            raise ValueError(f"formula is {formula!r}; it is one of {', '.join(get_args(Formula))}")
        usual = _DEFAULTS[formula]
        self.formula = formula
        self.target = usual[0] if target is None else target
        self.tolerance = usual[1] if tolerance is None else tolerance
        self.width = usual[2] if width is None else width
        self.min_words = min_words
        whole("min_words", min_words, 0)
        for name in ("target", "tolerance", "width"):
            number(name, getattr(self, name))
        if not abs(self.target) < float("inf"):
            raise ValueError(f"target is {target}; it must be a finite number")
        if not 0.0 <= self.tolerance < float("inf"):
            raise ValueError(f"tolerance is {tolerance}; it must be a finite number, 0 or more")
        if not 0.0 < self.width < float("inf"):
            raise ValueError(f"width is {width}; it must be a finite number above 0")

    def compute(self, text: str) -> float | None:
        text = _unmarked(text)
        letters = sum(map(str.isalpha, text))
        if not letters:
            return 0.0
        english = sum("a" <= c <= "z" for c in text) / letters
        if english < 0.5:
            return self.fail("not English")
        counted = _counted(text)
        far = abs(level(counted, self.formula) - self.target) - self.tolerance
        near = min(1.0, max(0.0, 1.0 - far / self.width))
        long = min(1.0, sum(map(len, counted)) / max(1, self.min_words))
        return near * long * english


def level(counted: list[list[str]], formula: Formula) -> float:
    """The Flesch-Kincaid grade or the Flesch reading ease of sentences, each a list of words."""
    count = sum(map(len, counted))
    per_sentence = count / len(counted)
    per_word = sum(syllables(word) for sentence in counted for word in sentence) / count
    if formula == "grade":
        return 0.39 * per_sentence + 11.8 * per_word - 15.59
    return 206.835 - 1.015 * per_sentence - 84.6 * per_word


def _unmarked(text: str) -> str:
    """Lower case, plain letters, without marks on letters and invisible characters."""
    if text.isascii():
        return text.lower()
    return without(unicodedata.normalize("NFKD", text), ("Mn", "Cf")).lower()


def _counted(text: str) -> list[list[str]]:
    """The words of each different sentence; short ones belong to what comes before or after."""
    found: list[list[str]] = []
    short: list[str] = []
    seen = set()
    for sentence in sentences(text):
        words = _WORD.findall(sentence)
        if not words or tuple(words) in seen:
            continue
        seen.add(tuple(words))
        short += words
        if len(short) >= _FEW:
            found.append(short)
            short = []
    if short and found:
        found[-1] += short
    return found or [short or ["a"]]
