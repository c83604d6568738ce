"""What is measured of a classifier on evaluation data. Pure Python on numbers and names.

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
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["entities", "entity_f1", "is_bio", "label_metrics"]

_BIO = re.compile(r"O|[BI]-.+")


def label_metrics(predicted: Sequence[int], labels: Sequence[int]) -> dict[str, float]:
    """`accuracy` and `macro_f1` of predictions of labels, of which there is at least one."""
    right = Counter(label for label, found in zip(labels, predicted, strict=True) if label == found)
    # 2 TP + FP + FN: how often a label is predicted, and how often it is given.
    seen = Counter(predicted) + Counter(labels)
    return {
        "accuracy": right.total() / len(labels),
        "macro_f1": sum(2 * right[label] / count for label, count in seen.items()) / len(seen),
    }


def is_bio(names: Sequence[str]) -> bool:
    """Whether the names of tags are BIO."""
    return any(name.startswith("B-") for name in names) and all(map(_BIO.fullmatch, names))


def entity_f1(predicted: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> float | None:
    """`entity_f1` over all rows; None where no entity is given or predicted."""
    right = seen = 0
    for found, given in zip(predicted, tags, strict=True):
        ours, theirs = set(entities(found)), set(entities(given))
        right += len(ours & theirs)
        seen += len(ours) + len(theirs)
    return 2 * right / seen if seen else None


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
