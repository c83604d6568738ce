"""Which script a language is written in, and which one a letter belongs to."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = ["script_of", "scripts_of"]

# Beside Latin; by the first word of a letter's name in Unicode.
_SCRIPTS = {
    "am": "ETHIOPIC",
    "ar": "ARABIC",
    "ary": "ARABIC",
    "arz": "ARABIC",
    "as": "BENGALI",
    "ba": "CYRILLIC",
    "be": "CYRILLIC",
    "bg": "CYRILLIC",
    "bn": "BENGALI",
    "crh": "LATIN CYRILLIC",
    "dz": "TIBETAN",
    "el": "GREEK",
    "fa": "ARABIC",
    "gom": "DEVANAGARI LATIN",
    "grc": "GREEK",
    "gu": "GUJARATI",
    "hbo": "HEBREW",
    "he": "HEBREW",
    "hi": "DEVANAGARI",
    "hy": "ARMENIAN",
    "ja": "CJK HIRAGANA KATAKANA",
    "ka": "GEORGIAN",
    "kk": "CYRILLIC LATIN",
    "km": "KHMER",
    "kn": "KANNADA",
    "ko": "HANGUL CJK",
    "ku": "LATIN ARABIC",
    "ky": "CYRILLIC",
    "lo": "LAO",
    "mk": "CYRILLIC",
    "ml": "MALAYALAM",
    "mn": "CYRILLIC MONGOLIAN",
    "mr": "DEVANAGARI",
    "my": "MYANMAR",
    "ne": "DEVANAGARI",
    "or": "ORIYA",
    "pa": "GURMUKHI ARABIC",
    "ps": "ARABIC",
    "ru": "CYRILLIC",
    "sa": "DEVANAGARI",
    "sdh": "ARABIC",
    "si": "SINHALA",
    "sr": "CYRILLIC LATIN",
    "ta": "TAMIL",
    "te": "TELUGU",
    "tg": "CYRILLIC",
    "th": "THAI",
    "tt": "CYRILLIC",
    "ug": "ARABIC",
    "uk": "CYRILLIC",
    "ur": "ARABIC",
    "uz": "LATIN CYRILLIC",
    "uzs": "ARABIC",
    "wuu": "CJK",
    "yue": "CJK",
    "zh": "CJK",
}


def scripts_of(language: str) -> frozenset[str]:
    """The scripts that a language is written in; Latin, if nothing else is known."""
    return frozenset(_SCRIPTS.get(language, "LATIN").split())


@lru_cache(maxsize=65536)
def script_of(letter: str) -> str:
    """The script of a letter, or of a mark on one; empty for everything else."""
    if not letter.isalpha():
        return ""
    return unicodedata.name(letter, "").partition(" ")[0]
