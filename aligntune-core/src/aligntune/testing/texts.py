"""Texts that a reward must be able to read, whatever it makes of them."""

# ruff: noqa: RUF001 - letters that look like others are what this is about

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["EMPTY", "ROWS", "UNICODE", "long_texts"]

# Ordinary completions, for rewards that need no more than a text, a prompt and a reference.
ROWS: tuple[dict[str, Any], ...] = (
    {"prompt": "What is 37 + 45?", "text": "37 + 45 = 82", "reference": "82"},
    {"prompt": "What is 37 + 45?", "text": "It is 83.", "reference": "82"},
    {"prompt": "Name a city.", "text": "Paris is a city in France.", "reference": "Paris"},
    {"prompt": "Name a city.", "text": "No, I will not!", "reference": "Paris"},
    {"prompt": "Write a list.", "text": "# List\n\n- one\n- two\n- three", "reference": "one"},
    {"prompt": "Say it again.", "text": "again and again " * 40, "reference": "again"},
)

EMPTY = ("", " ", "\n", " \t\r\n ")

UNICODE = (
    "naïve café, Straße, İstanbul, ΑΣ ς",
    "cafe\u0301 n\u0303 e\u0301\u0302\u0303",  # combining marks
    "Z\u0335\u0321\u0322a\u0336\u0323l\u0337g\u0338o" * 20,
    "👍 🏽 👩‍👩‍👧‍👦 🇫🇷 1️⃣ ❤️",  # emoji with modifiers, joined, flags, keycaps
    "مرحبا بالعالم، ١٢٣ — שלום עולם",  # right to left
    "\u202eabc\u202c \u2066x\u2069 \u200fy",  # directions that are turned round
    "日本語の文章です。中文也是。한국어 문장입니다",
    "हिन्दी में एक वाक्य ภาษาไทย ไม่มีช่องว่าง",
    "Ｆｕｌｌ　ｗｉｄｔｈ １２３",
    "pаypаl оf Cyrillic letters",  # homoglyphs
    "zero\u200bwidth\u200c \u200d joiners\ufeff and \u00ad soft hyphens",
    "𝒎𝒂𝒕𝒉 𝟙𝟚𝟛 ∑∫√ ½ ² Ⅷ ㊿ ٣",  # letters and digits beyond the first plane and the first ten
    "\x00 NUL, \x07 bell, \x1b[31m escape, \x7f, \x85 next line, \u2028 \u2029 lines",
    "\ufffd\ufffd a byte that was none, \U0010ffff the last of all",
    "a\u0300" * 300,
)

_MEGABYTE = 1_000_000
# Repeated to a megabyte. Each is what a careless pattern reads again and again.
_LONG = (
    "The quick brown fox jumps over the lazy dog, again. ",
    "a",
    " ",
    "\n",
    "1",
    "([{",
    "\\boxed{",
    "<a><think>",
    "é😀",
)


def long_texts() -> Iterator[str]:
    """Yield texts of a million characters."""
    for part in _LONG:
        yield part * (_MEGABYTE // len(part))
