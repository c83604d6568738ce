"""How far two rewards agree: correlations of values and of ranks, and where they differ most."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Agreement", "agreement", "kendall", "pearson", "ranks", "spearman"]


@dataclass(frozen=True)
class Agreement:
    """Two rewards on the rows that both apply to.

    `pearson`, `spearman`, `kendall`: correlations from -1 to 1, None where one of the two gives
    every row the same. `differ`: rows by how far apart the two rank them, farthest first, with that
    distance as a share of the rows.
    """

    rows: int
    pearson: float | None
    spearman: float | None
    kendall: float | None
    differ: tuple[tuple[int, float], ...]


def agreement(first: Sequence[float | None], second: Sequence[float | None]) -> Agreement:
    """Compare two rewards' values for the same rows."""
    both = [
        (index, a, b)
        for index, (a, b) in enumerate(zip(first, second, strict=True))
        if a is not None and b is not None
    ]
    x, y = [a for _, a, _ in both], [b for _, _, b in both]
    apart = [abs(p - q) / len(both) for p, q in zip(ranks(x), ranks(y), strict=True)]
    far = sorted(range(len(both)), key=lambda i: (-apart[i], i))
    differ = tuple((both[i][0], apart[i]) for i in far if apart[i] > 0)
    return Agreement(len(both), pearson(x, y), spearman(x, y), kendall(x, y), differ)


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    for position, index in enumerate(order):
        if position + 1 == len(order) or values[order[position + 1]] != values[index]:
            for tied in order[start : position + 1]:
                found[tied] = (start + position) / 2 + 1
            start = position + 1
    return found


def pearson(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Pearson's correlation, or None where it is not defined."""
    if len(x) < 2:
        return None
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    dx, dy = [value - mean_x for value in x], [value - mean_y for value in y]
    size = math.sqrt(math.fsum(d * d for d in dx)) * math.sqrt(math.fsum(d * d for d in dy))
    if len(set(x)) < 2 or len(set(y)) < 2 or size == 0:
        return None
    return max(-1.0, min(1.0, math.fsum(a * b for a, b in zip(dx, dy, strict=True)) / size))


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's correlation: that of the ranks."""
    return pearson(ranks(x), ranks(y))


def kendall(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Kendall's tau-b: pairs in the same order less pairs in the other, with ties allowed for."""
    pairs = sorted(zip(x, y, strict=True))
    seen: list[float] = []
    discordant = 0
    for _, b in pairs:  # equal x come with y ascending, so they are never discordant
        discordant += len(seen) - bisect_right(seen, b)
        insort(seen, b)
    total = _pairs(len(pairs))
    tied_x, tied_y, tied = (_tied(values) for values in (x, y, pairs))
    if total in (tied_x, tied_y):
        return None
    concordant = total - discordant - tied_x - tied_y + tied
    return (concordant - discordant) / math.sqrt((total - tied_x) * (total - tied_y))


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _tied(values: Sequence[object]) -> int:
    """How many pairs of these are equal."""
    return sum(_pairs(count) for count in Counter(values).values())
