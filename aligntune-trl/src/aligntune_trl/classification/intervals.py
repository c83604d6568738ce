"""What is measured of a classifier, with standard errors and 95 % intervals.

Rows are drawn, and not the words in them, because words of one text go wrong together. The formulas
are in `metrics`; intervals are those of `aligntune.evaluation.statistics`: Wilson's for the
accuracy of texts, else a bootstrap over rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aligntune.evaluation import Combine, Metric
from aligntune.evaluation.statistics import RESAMPLES, mean_metric, percentiles, ratio_metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.float64]

__all__ = ["classifier_metrics"]

Pairs = Sequence[tuple[int, int]]
"""The predicted and the given label of each thing in a row that has one."""


def classifier_metrics(
    rows: Sequence[Pairs], entities: Sequence[tuple[int, int]] | None = None, seed: int = 0
) -> list[Metric]:
    """`accuracy`, `macro_f1` and, where entities are told, `entity_f1`.

    Args:
        rows: those without a label do not count.
        entities: of each row 2 TP, and 2 TP + FP + FN; None where tags are not BIO.
        seed: of the bootstrap.
    """
    rows = [row for row in rows if row]
    right = [float(sum(found == given for found, given in row)) for row in rows]
    sizes = [float(len(row)) for row in rows]
    if all(size == 1 for size in sizes):
        accuracy = mean_metric("accuracy", right, seed=seed)
    else:
        combine = Combine("ratio", "right", "labels")
        accuracy = ratio_metric("accuracy", right, sizes, combine, seed=seed, higher_is_better=True)
    found = [accuracy, _macro_f1(rows, seed)]
    there = [counts for counts in entities or () if counts[1]]
    if there:
        tops, bottoms = zip(*there, strict=True)
        combine = Combine("ratio", "entities_right", "entities")
        f1 = ratio_metric("entity_f1", tops, bottoms, combine, seed=seed, higher_is_better=True)
        found.append(f1)
    return found


def _macro_f1(rows: Sequence[Pairs], seed: int) -> Metric:
    """The mean of F1 over labels; what it is in resampled rows gives error and interval."""
    import numpy as np

    right, seen = _counts(rows)
    value = float(_mean_f1(right.sum(axis=0), seen.sum(axis=0)))
    details: dict[str, Any] = {"interval": "none", "labels": int((seen.sum(axis=0) > 0).sum())}
    if len(rows) < 2:
        return Metric("macro_f1", value, len(rows), details=details, higher_is_better=True)
    # Many rows are the same: how often each kind is drawn is all that counts.
    kinds, times = np.unique(np.hstack([right, seen]), axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    drawn = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        sums = generator.multinomial(len(rows), times / len(rows)) @ kinds
        drawn[index] = _mean_f1(*np.split(sums, 2))
    low, high = percentiles(np.sort(drawn))
    return Metric(
        "macro_f1",
        value,
        len(rows),
        float(drawn.std(ddof=1)),
        low,
        high,
        details=details | {"interval": "bootstrap"},
        higher_is_better=True,
    )


def _counts(rows: Sequence[Pairs]) -> tuple[Counts, Counts]:
    """Of each row and label, shape (rows, labels): TP, and 2 TP + FP + FN."""
    import numpy as np

    labels = 1 + max(number for row in rows for pair in row for number in pair)
    right, seen = (np.zeros((len(rows), labels)) for _ in range(2))
    for index, row in enumerate(rows):
        for found, given in row:
            right[index, given] += found == given
            seen[index, given] += 1
            seen[index, found] += 1
    return right, seen


def _mean_f1(right: Counts, seen: Counts) -> Any:
    """Labels that are neither given nor predicted do not count."""
    there = seen > 0
    return (2 * right[there] / seen[there]).mean()
