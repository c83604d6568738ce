"""Estimators of evaluation, with the standard errors and 95 % intervals that core has."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aligntune.evaluation.statistics import (
    RESAMPLES,
    bootstrap_ratio,
    mean_metric,
    percentiles,
    ratio_metric,
    standard_error,
    wilson,
)

__all__ = [
    "RESAMPLES",
    "Floats",
    "bootstrap_ratio",
    "mean_metric",
    "pass_at_k",
    "percentiles",
    "ratio_metric",
    "standard_error",
    "wilson",
]

Floats = NDArray[np.float64]


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that one of k samples is right, where c of n samples were (pass@k).

    The unbiased estimator 1 - C(n - c, k) / C(n, k) of Chen et al. 2021 (arXiv 2107.03374, eq. 1),
    as a product that neither overflows nor loses digits.

    Raises:
        ValueError: unless 0 <= c <= n and 1 <= k <= n.
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} of {c} right samples among {n}: 0 <= c <= n and 1 <= k <= n")
    return 1.0 - math.prod((n - c - i) / (n - i) for i in range(k))
