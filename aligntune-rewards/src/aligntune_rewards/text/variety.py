"""How little a text repeats itself, near and far: for `diversity`, `fluency` and `coherence`.

Two numbers, since either alone is blind: a paragraph said ten times is varied within each stretch
of fifty words, and a short text that goes round in three words has no long repetition to find.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aligntune_rewards.words import plain_form, words

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ENOUGH", "FAR", "distinct", "new_share", "units", "varied"]

# Running prose has 0.9 and more, programs and worked mathematics a little less.
ENOUGH = 0.8
WINDOW = 50
FAR = 8  # words in a row that prose does not say twice

_DIGITS = re.compile(r"\d+")


def units(text: str) -> list[str]:
    """The words of a text in a form without tricks: each number is `0`, letters are plain."""
    return words(_DIGITS.sub("0", plain_form(text)))


def distinct(given: Sequence[str], n: int = 2, window: int = WINDOW) -> float:
    """The mean over all stretches of `window` words of distinct n-grams / n-grams.

    A text that is shorter is one stretch; one without an n-gram has 1.
    """
    grams = _grams(given, n)
    size = min(len(grams), max(1, window - n + 1))
    if size == 0:
        return 1.0
    last = len(grams) - size  # where the last stretch begins
    seen: dict[tuple[str, ...], int] = {}
    total = 0
    for place, gram in enumerate(grams):
        # It is new in the stretches that begin after it was there before, and hold this place.
        first = max(seen.get(gram, -1) + 1, place - size + 1)
        total += max(0, min(place, last) - first + 1)
        seen[gram] = place
    return total / (size * (last + 1))


def new_share(given: Sequence[str], n: int = FAR, before: Sequence[str] = ()) -> float:
    """The share of n-grams that neither come earlier in the text, nor in the one `before`."""
    grams = _grams(given, n)
    if not grams:
        return 1.0
    return len(set(grams) - set(_grams(before, n))) / len(grams)


def varied(text: str, prompt: str = "") -> float:
    """How little a text repeats itself or copies from the prompt, from 0 to 1; prose has 1."""
    given = units(text)
    before = units(prompt) if prompt else ()
    return min(1.0, min(distinct(given), new_share(given, before=before)) / ENOUGH)


def _grams(given: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(given[i:] for i in range(n)), strict=False))
