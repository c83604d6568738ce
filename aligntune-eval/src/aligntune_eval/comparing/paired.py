"""Statistics of paired differences: one bootstrap over rows for any sums, and exact ones for 0/1.

Pairs are drawn with replacement, and both models get the same rows of each resample, so what a row
adds to both cancels. The bootstrap is not used for 0/1 values, for the reason it is not used for
their mean: where no row or few rows changed it is a point, or much too short.

References:
    B. Efron, R. Tibshirani, "An introduction to the bootstrap" (1993), chapters 8 and 13.
    T. Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17 (1998), equations 5 to 7.
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions",
    Psychometrika 12 (1947); exact as a binomial test of the rows that changed.
"""

from __future__ import annotations

import numpy as np

from aligntune_eval.statistics import RESAMPLES, Floats

__all__ = ["mcnemar", "resampled_sums", "tango", "tango_many"]

_Z = 1.959963984540054  # the 97.5th percentile of the standard normal distribution
_CELLS = 4_000_000  # rows drawn at once, over all resamples: 64 MB


def resampled_sums(columns: Floats, seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """Sums of columns over rows drawn with replacement, the same rows for every column.

    Args:
        columns: shape (n, k).
        seed: of this bootstrap alone; the global generators are not touched.
        resamples: how often n rows are drawn.

    Returns:
        Shape (resamples, k).
    """
    n = len(columns)
    # Sorted, so that the same rows in another order are drawn the same.
    columns = columns[np.lexsort(columns.T[::-1])]
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS // n)
    found: list[Floats] = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = generator.integers(0, n, size=(size, n)) + np.arange(size)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        found.append(times.astype(np.float64) @ columns)
    return np.concatenate(found)


def tango(gained: int, lost: int, n: int) -> tuple[float, float]:
    """Tango's 95 % score interval of the difference of two paired proportions.

    The difference is (gained - lost) / n, for `gained` rows that went from 0 to 1 and `lost` rows
    from 1 to 0, of n. It lies within [-1, 1] and has a width where no row changed.

    Raises:
        ValueError: unless 0 <= gained + lost <= n and n > 0.
    """
    if min(gained, lost) < 0 or gained + lost > n or n < 1:
        raise ValueError(f"{gained} rows gained and {lost} lost, of {n}")
    low, high = tango_many(np.array([gained]), np.array([lost]), n)
    return float(low[0]), float(high[0])


def tango_many(gained: Floats, lost: Floats, n: int) -> tuple[Floats, Floats]:
    """`tango` for arrays of counts: both ends, each of the shape of `gained`."""
    value = (np.asarray(gained) - np.asarray(lost)) / n
    ends = []
    for side in (-1.0, 1.0):
        # The score statistic crosses z once between the estimate and the end of the range.
        near, far = value.astype(np.float64), np.full(value.shape, side)
        for _ in range(60):
            middle = (near + far) / 2
            within = _score(gained, lost, n, middle) <= _Z
            near, far = np.where(within, middle, near), np.where(within, far, middle)
        ends.append(far)
    return ends[0], ends[1]


def _score(gained: Floats, lost: Floats, n: int, delta: Floats) -> Floats:
    """|T| of Tango's equation 6, with the likeliest share of lost rows if the truth is `delta`."""
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    share = (np.sqrt(np.maximum(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * np.maximum(2 * share + delta * (1 - delta), 0.0)
    top = np.abs(gained - lost - n * delta)
    found: Floats = np.divide(
        top, np.sqrt(variance), out=np.full(top.shape, np.inf), where=variance > 0
    )
    return found


def mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact two-sided p-value: twice the smaller tail of Binomial(gained + lost, 1/2)."""
    n, smaller = gained + lost, min(gained, lost)
    if n == 0:
        return 1.0
    term = tail = 1  # of C(n, k), from k = 0 on
    for k in range(smaller):
        term = term * (n - k) // (k + 1)
        tail += term
    return float(min(1.0, 2 * tail / 2**n))
