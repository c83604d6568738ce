"""Several completions of one row are one observation: they are averaged before rows are.

`answers_of` lists the completions row by row, each row's one after the other; whatever scores them
keeps that order, and `means` makes one value per row of it. So a metric's n counts rows, and its
interval does not shrink because each prompt was answered more often.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from aligntune_eval.asking.generation import samples_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation import EvaluationContext
    from aligntune_eval.asking.generation import Completion

__all__ = ["answers_of", "groups", "means", "repeated"]

T = TypeVar("T")


def answers_of(context: EvaluationContext) -> list[Completion]:
    """All completions of all rows, those of one row one after the other."""
    return [answer for row in samples_of(context) for answer in row]


def repeated(values: Sequence[T], times: int) -> list[T]:
    """Each value as often as its row has completions, in the order of `answers_of`."""
    return [value for value in values for _ in range(times)]


def groups(values: Sequence[T], rows: int) -> list[Sequence[T]]:
    """The values of each row's completions; every row has equally many."""
    each = len(values) // rows
    return [values[start : start + each] for start in range(0, len(values), each)]


def means(values: Sequence[float | None], rows: int) -> list[float | None]:
    """The mean of each row's values, None aside; None where no completion of a row has one."""
    found: list[float | None] = []
    for group in groups(values, rows):
        known = [value for value in group if value is not None]
        found.append(math.fsum(known) / len(known) if known else None)
    return found
