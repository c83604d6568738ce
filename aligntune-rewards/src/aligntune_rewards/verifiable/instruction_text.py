"""Counts sentences and words the way that instructions about them mean it."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["capital_words", "count_sentences", "count_words", "legible"]

# The wide and typographic marks are those of other scripts, and are meant.
_END = re.compile(
    "(?<![.!?\u2026])[.!?\u2026]+[\"'\u201d\u2019)\\]*_]*(?=\\s|$)|[\u3002\uff01\uff1f]+"
)
_WORD = re.compile(r"\w+")
_WORD_WITH_MARKS = re.compile(r"\w+(?:[-'\u2019.&/]\w+)*")
_BEFORE = re.compile(r"(\S{1,40})$")
# No sentence ends behind a title; behind the others, one ends if a capital letter follows.
_TITLED = "mr mrs ms dr prof rev hon st gen col capt lt sgt gov sen rep"
_TITLES = frozenset(_TITLED.split())
_ABBREVIATED = (
    "jr sr vs etc e.g i.e cf al fig no vol inc ltd co corp dept est approx jan feb mar apr jun jul "
    "aug sep sept oct nov dec u.s u.k a.m p.m"
)
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())


def legible(text: str) -> str:
    """The text without invisible characters and marks on letters, with composed letters."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    return "".join(c for c in composed if unicodedata.category(c) not in ("Cf", "Mn", "Mc", "Me"))


def count_words(text: str) -> int:
    """How many runs of letters and digits there are."""
    return len(_WORD.findall(legible(text)))


def capital_words(text: str) -> int:
    """How many words are all in capitals; those with a hyphen or an apostrophe are one."""
    return sum(word.isupper() for word in _WORD_WITH_MARKS.findall(legible(text)))


def count_sentences(text: str) -> int:
    """How many sentences there are.

    One ends in a full stop, a question mark or an exclamation mark before white space, but not
    behind an abbreviation, an initial or the number of a list's item, nor, with a full stop, before
    a small letter. What follows the last end is one too. A new line ends none.
    """
    return sum(bool(_WORD.search(sentence)) for sentence in _sentences(legible(text)))


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        if _ends(text, match, start):
            yield text[start : match.end()]
            start = match.end()
    yield text[start:]


def _ends(text: str, match: re.Match[str], start: int) -> bool:
    if not match[0].startswith((".", "\u2026")) or "!" in match[0] or "?" in match[0]:
        return True
    following = text[match.end() : match.end() + 20].lstrip()
    if following[:1].islower():
        return False
    found = _BEFORE.search(text[max(start, match.start() - 40) : match.start()])
    before = found[1].lstrip("(\"'*_") if found else ""
    if len(before) == 1 and before.isalpha() and before.isupper():
        return before == "I" or not following  # an initial, as in J. Doe
    if before.isdigit() and text[start : match.start()].strip() == before:
        return False  # the number of an item
    word = before.lower()
    if not following or word in _TITLES:
        return not following
    return word not in _ABBREVIATIONS or following[0].isupper()
