"""Intervals cover the truth as often as they say."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from aligntune_eval.statistics import (
    bootstrap_ratio,
    mean_metric,
    pass_at_k,
    percentiles,
    standard_error,
    wilson,
)


@pytest.mark.parametrize(
    ("n", "c", "k", "value"),
    [(10, 3, 1, 0.3), (5, 2, 2, 0.7), (200, 10, 10, 0.408548), (20, 5, 5, 0.806308)],
)
def test_pass_at_k(n: int, c: int, k: int, value: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(value, abs=5e-7)
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert pass_at_k(n, c, k) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 0, 3), (5, 5, 1), (5, 4, 2), (5, 3, 5)])
def test_pass_at_k_where_nothing_is_left_to_chance(n: int, c: int, k: int) -> None:
    assert pass_at_k(n, c, k) == (0.0 if c == 0 else 1.0)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 6, 1), (5, -1, 1), (5, 1, 0), (5, 1, 6)])
def test_pass_at_k_of_what_cannot_be(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} of {c} right samples among {n}"):
        pass_at_k(n, c, k)


def binomial_coverage(p: float, n: int) -> float:
    """Exact probability that Wilson's interval holds p."""
    return math.fsum(
        math.comb(n, k) * p**k * (1 - p) ** (n - k)
        for k in range(n + 1)
        if wilson(k, n)[0] <= p <= wilson(k, n)[1]
    )


@pytest.mark.parametrize("n", [20, 100, 200])
@pytest.mark.parametrize("p", [0.01, 0.05, 0.3, 0.5, 0.9, 0.99])
def test_wilson_covers_near_the_ends_too(p: float, n: int) -> None:
    assert binomial_coverage(p, n) > 0.9


def test_the_bootstrap_fails_where_wilson_does_not() -> None:
    """The reason for having both: at p = 0.01, n = 100, 37 % of data sets hold no success."""
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        low, high = percentiles(
            bootstrap_ratio(generator.binomial(1, 0.01, 100), np.ones(100), seed)
        )
        hits += low <= 0.01 <= high
    assert hits / 200 < 0.75
    assert binomial_coverage(0.01, 100) > 0.9


def test_on_a_thousand_problems_the_interval_covers_93_to_97_percent() -> None:
    generator = np.random.default_rng(1)
    for p in (0.1, 0.5, 0.8):
        hits = 0
        for successes in generator.binomial(1000, p, 1000):
            low, high = wilson(int(successes), 1000)
            hits += low <= p <= high
        assert 0.93 <= hits / 1000 <= 0.97


def test_the_bootstrap_of_a_ratio_covers_its_truth() -> None:
    """Rows of unequal length, as texts are; the truth is E[nll] / E[tokens]."""
    generator = np.random.default_rng(2)
    hits = 0
    for seed in range(200):
        tokens = generator.integers(1, 50, 200).astype(float)
        nll = tokens * generator.gamma(4.0, 0.5, 200)
        low, high = percentiles(bootstrap_ratio(nll, tokens, seed))
        hits += low <= 2.0 <= high
    assert 0.9 <= hits / 200 <= 0.99


def test_wilson_at_the_ends() -> None:
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 10)[1] == pytest.approx(0.2775, abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_standard_error() -> None:
    assert standard_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.645497, abs=1e-6)
    assert standard_error([1.0]) is None


def test_the_bootstrap_repeats_and_touches_no_global_generator() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the legacy global state is the point
    first = bootstrap_ratio([1.0, 2.0, 4.0], [1.0, 1.0, 2.0], 3)
    assert np.array_equal(first, bootstrap_ratio([1.0, 2.0, 4.0], [1.0, 1.0, 2.0], 3))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_mean_of_zeros_and_ones_says_wilson_and_others_bootstrap() -> None:
    binary = mean_metric("m", [1.0, 1.0, 1.0])
    assert binary.details["interval"] == "wilson"
    assert (binary.value, binary.n, binary.high) == (1.0, 3, 1.0)
    assert binary.low is not None
    assert binary.low < 0.5
    assert mean_metric("m", [0.2, 0.4, 0.9]).details["interval"] == "bootstrap"
    assert mean_metric("m", [0.2]).interval is None


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_what_is_no_number_is_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="metric 'm'"):
        mean_metric("m", values)
