"""The words of a text, in every script, and a form of text in which tricks with letters are undone.

Of ASCII text `words` gives what rouge-score's own tokenizer gives.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["plain_form", "sentences", "without", "words"]

# A letter of a script without spaces between words is a word of its own; elsewhere, runs of
# letters and digits are.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Japanese, Chinese
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
# The wide marks are those of Chinese and Japanese.
_SENTENCE_END = re.compile("(?<=[.!?])\\s+|(?<=[\u3002\uff01\uff1f])\\s*|\n+")
# Marks that are put on letters, beside those that belong to a script.
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_LOOKALIKES = str.maketrans(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u04bb\u0501\u051b\u051d"
    "\u0432\u043d\u043a\u043c\u0442\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c4\u03c5\u03c7",
    "aceopxyijshdqwbhkmtaopviktux",
)


def words(text: str) -> list[str]:
    """The words of a text, in lower case, with composed letters."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(text.lower())


def sentences(text: str) -> list[str]:
    """The sentences of a text: parts that end in a full stop or its like, or with a line."""
    return [part for part in _SENTENCE_END.split(text) if part.strip()]


def plain_form(text: str) -> str:
    """The text in lower case, without invisible characters and marks on letters.

    Wide, bold and circled letters become plain ones, and letters of the Cyrillic and Greek
    alphabets the Latin ones that they look like. It is for telling whether texts are alike, not for
    reading.
    """
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    text = without(text, ("Cf", "Cc")).casefold()
    return text if text.isascii() else text.translate(_LOOKALIKES)


def without(text: str, categories: Collection[str]) -> str:
    """The text without characters of these Unicode categories, but for white space."""
    gone = {c for c in set(text) if unicodedata.category(c) in categories and not c.isspace()}
    return text.translate(dict.fromkeys(map(ord, gone))) if gone else text
