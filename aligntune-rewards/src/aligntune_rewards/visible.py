"""A text as its reader sees it, with its capitals: tricks with letters are undone.

`words.plain_form` is for telling whether texts are alike; this is for what reads them.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["passages", "visible", "windows"]

_LOOKALIKES = str.maketrans(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u04bb\u0501\u051b\u051d"
    "\u0432\u043d\u043a\u043c\u0442\u0410\u0412\u0421\u0415\u041d\u041a\u041c\u041e\u0420\u0422\u0425"
    "\u0406\u0408\u0405\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c4\u03c5\u03c7"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "aceopxyijshdqwbhkmtABCEHKMOPTXIJSaopviktuxABEZHIKMNOPTYX",
)
_QUOTES = str.maketrans("\u2018\u2019\u02bc\u201c\u201d", "'''\"\"")
_OTHER_SCRIPT = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_WORD = re.compile(r"\w+")
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]")
_END = re.compile("(?<=[.!?\u2026])[\"')\\]]*\\s+|(?<=[\u3002\uff01\uff1f])\\s*|\n+")
_REVERSED = re.compile("[\u202e\u2067]([^\u202c\u2069]*)[\u202c\u2069]?")
_LONGEST_WORD = 100
_LETTER = re.compile("[A-Za-z]")


def visible(text: str) -> str:
    """The text without invisible characters and stacked marks, with plain letters and quotes.

    What is shown from right to left by force is turned round.
    Wide, bold and circled letters become plain ones; Cyrillic and Greek letters that look like
    Latin ones become these, in words that mix them, and in all words of a mostly Latin text.
    """
    if text.isascii():
        return _shown(text)
    text = _REVERSED.sub(lambda match: match[1][::-1], text)
    text = unicodedata.normalize("NFKC", _MARKS.sub("", unicodedata.normalize("NFKD", text)))
    text = _shown(text).translate(_QUOTES)
    others = len(_OTHER_SCRIPT.findall(text))
    if not others:
        return text
    mostly_latin = len(_LETTER.findall(text)) >= others

    def latin(match: re.Match[str]) -> str:
        word = match[0].translate(_LOOKALIKES)
        mixed = _LETTER.search(match[0]) is not None
        return word if word.isascii() and (mixed or mostly_latin) else match[0]

    return _WORD.sub(latin, text)


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cf", "Cc"))


def passages(text: str, longest: int) -> list[str]:
    """The different sentences of a text, in order, in pieces of at most `longest` words.

    A word without end is cut.
    What comes again, also in other letters' case, is left out, so that saying a thing twice changes
    nothing, and the work is in proportion to what is said.
    """
    found: dict[str, str] = {}
    for sentence in _END.split(visible(text)):
        said = _cut(sentence.split(), _LONGEST_WORD)
        for start in range(0, len(said), longest):
            piece = " ".join(said[start : start + longest])
            found.setdefault(piece.casefold().strip(".!? "), piece)
    return list(found.values())


def windows(text: str, words: int = 100, characters: int = 600, shared: int = 10) -> list[str]:
    """The text as it is seen, in pieces that a classifier reads whole, all of it.

    Each has at most so many words and characters, and begins with the last words of the one before;
    a word without end is cut.
    """
    text = visible(text)
    if len(text) <= characters and len(text.split()) <= words:
        return [text]
    said = _cut(text.split(), characters // 4)
    found: dict[str, None] = {}
    start = 0
    while start < len(said):
        end, length = start, 0
        while end < len(said) and end - start < words and length + len(said[end]) < characters:
            length += len(said[end]) + 1
            end += 1
        found[" ".join(said[start:end])] = None
        start = end if end == len(said) else max(start + 1, end - shared)
    return list(found) or [""]


def _cut(words: list[str], size: int) -> list[str]:
    """The words, the longer ones in pieces of that size."""
    return [word[i : i + size] for word in words for i in range(0, len(word), size)]
