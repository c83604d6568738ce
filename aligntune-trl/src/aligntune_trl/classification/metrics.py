"""The formulas of what is measured of a classifier on evaluation data, and what entities are.

    accuracy  = right / all
    F1(c)     = 2 TP(c) / (2 TP(c) + FP(c) + FN(c))
    macro_f1  = mean of F1(c) over the labels c that are given or predicted at least once
    entity_f1 = 2 TP / (2 TP + FP + FN), over entities: runs of words of one type

An entity counts as found where its type, its first and its last word are right, as the CoNLL-2003
task has it (Tjong Kim Sang and De Meulder 2003). It is measured where the tags are BIO: `O`, `B-x`
for the first word of an entity of type x and `I-x` for those that follow. An `I-x` that follows
nothing of type x begins an entity too, as in CoNLL's `conlleval`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["entities", "entity_counts", "is_bio"]

_BIO = re.compile(r"O|[BI]-.+")


def is_bio(names: Sequence[str]) -> bool:
    """Whether the names of tags are BIO."""
    return any(name.startswith("B-") for name in names) and all(map(_BIO.fullmatch, names))


def entity_counts(predicted: Sequence[str], tags: Sequence[str]) -> tuple[int, int]:
    """2 TP, and 2 TP + FP + FN, of the entities of one row."""
    ours, theirs = set(entities(predicted)), set(entities(tags))
    return 2 * len(ours & theirs), len(ours) + len(theirs)


def entities(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield (type, first word, last word) of every entity in the BIO tags of one row."""
    kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        mark, _, here = tag.partition("-")
        if kind and (mark != "I" or here != kind):
            yield kind, start, place - 1
            kind = ""
        if not kind and mark != "O":
            kind, start = here, place
