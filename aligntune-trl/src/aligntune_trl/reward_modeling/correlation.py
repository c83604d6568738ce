"""Rank correlation (Spearman 1904): whether two lists of numbers rise and fall together."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["ranks", "spearman"]


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in range(start, end + 1):
            found[order[place]] = (start + end) / 2 + 1
        start = end + 1
    return found


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The correlation of the ranks, in [-1, 1]; None where one of the lists does not vary.

    Args:
        one: numbers.
        other: as many, each of what the number of `one` in its place is of.
    """
    left, right = ranks(one), ranks(other)
    middle = (len(left) + 1) / 2
    across = math.fsum((a - middle) * (b - middle) for a, b in zip(left, right, strict=True))
    spread = math.fsum((a - middle) ** 2 for a in left) * math.fsum(
        (b - middle) ** 2 for b in right
    )
    return None if spread == 0 else max(-1.0, min(1.0, across / math.sqrt(spread)))
