"""Syllables of English words, by rules."""

from __future__ import annotations

import re

__all__ = ["syllables"]

_VOWELS = re.compile(r"[aeiouy]+")
# i and another vowel are two sounds, as in "radio"; not in "nation", "special", "million". So are
# a vowel and -ing.
_APART = re.compile(r"(?<![cglstx])i(?=[aou])|(?<=[aeiouy])ing$")
_SILENT = re.compile(
    r"(?<=[^aeiouy])e$(?<![^aeiouy]le)"  # "make"; not "table", "see"
    r"|(?<=[^aeioucgsxzhy])es$(?<![^aeiouy]les)|(?<=[^cs]h)es$"  # "makes"; not "boxes", "tables"
    r"|(?<=[^aeioudty])ed$(?<![bcdfgkpstz]led)"  # "asked"; not "wanted", "handled"
)


def syllables(word: str) -> int:
    """The number of syllables of an English word in lower case, at least 1.

    Each run of vowels (a, e, i, o, u, y) is one. A final e is silent, but for consonant + le; so
    are the e of a final -es, but for -ces, -ges, -ses, -xes, -zes, -ches, -shes and consonant +
    les, and that of a final -ed, but for -ted, -ded, and -led after b, c, d, f, g, k, p, s, t or z.
    An i before a, o or u is a syllable of its own, but for one after c, g, l, s, t or x, and so is
    -ing after a vowel.
    """
    word = _SILENT.sub("", word)
    return max(1, len(_VOWELS.findall(word)) + len(_APART.findall(word)))
