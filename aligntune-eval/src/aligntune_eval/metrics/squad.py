"""The answers of SQuAD as its official script compares them (Rajpurkar et al. 2016).

https://rajpurkar.github.io/SQuAD-explorer/, evaluate-v2.0.py: lower case, without ASCII
punctuation and the English articles, and with single spaces.
"""

from __future__ import annotations

import re
import string
from collections import Counter

__all__ = ["normalized", "token_f1"]

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalized(text: str) -> str:
    """The text in lower case, without punctuation, articles and double spaces, in that order."""
    plain = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def token_f1(text: str, reference: str) -> float:
    """2PR/(P + R) of the words that both have, counted as often as they stand in both.

    Where one of them has no words, 1 if neither has, else 0.
    """
    said, right = normalized(text).split(), normalized(reference).split()
    if not said or not right:
        return float(said == right)
    common = (Counter(said) & Counter(right)).total()
    return 2 * common / (len(said) + len(right))
