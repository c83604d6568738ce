"""95 % intervals hold the truth in 93 to 97 % of 1,000 simulations, on 1,000 problems.

All simulations of a test draw the same rows in each resample (one seed, one n), so that all their
bootstraps are one product of matrices. That this product is what the library computes is checked
on the first simulations, to the last digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from aligntune.evaluation.statistics import RESAMPLES, bootstrap_ratio, mean_metric, percentiles
from aligntune_eval.comparing.paired import resampled_sums, tango, tango_many

N = SIMULATIONS = 1000
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def times() -> Floats:
    """How often each row is in each resample, shape (RESAMPLES, N)."""
    drawn = np.random.default_rng(0).integers(0, N, size=(RESAMPLES, N))
    return np.stack([np.bincount(rows, minlength=N) for rows in drawn]).astype(np.float64)


def share_within(low: Floats, high: Floats, truth: float) -> float:
    return float(((low <= truth) & (truth <= high)).mean())


def in_order(first: Floats, *columns: Floats) -> list[Floats]:
    """The rows of each simulation, shape (N, SIMULATIONS), as the library sorts them."""
    order = np.lexsort((*columns[::-1], first), axis=0)
    return [np.take_along_axis(column, order, axis=0) for column in (first, *columns)]


@pytest.mark.parametrize("p", [0.01, 0.05, 0.3, 0.5, 0.9, 0.98])
def test_of_right_and_wrong(p: float) -> None:
    right = np.random.default_rng(1).binomial(N, p, size=SIMULATIONS)
    found = [mean_metric("accuracy", [1.0] * k + [0.0] * (N - k)).interval for k in right]
    ends = np.array(found)
    assert 0.93 <= share_within(ends[:, 0], ends[:, 1], p) <= 0.97


SCORES: dict[str, tuple[Callable[[np.random.Generator], Floats], float]] = {
    "normal": (lambda g: g.normal(0.4, 2.0, (N, SIMULATIONS)), 0.4),
    "beta": (lambda g: g.beta(0.5, 2.0, (N, SIMULATIONS)), 0.2),
    "skewed": (lambda g: g.gamma(0.5, 1.0, (N, SIMULATIONS)), 0.5),
    "of four samples": (lambda g: g.binomial(4, 0.1, (N, SIMULATIONS)) / 4, 0.1),
}


@pytest.mark.parametrize("name", SCORES)
def test_of_scores(name: str, times: Floats) -> None:
    make, truth = SCORES[name]
    values = make(np.random.default_rng(2))
    (ordered,) = in_order(values)
    low, high = np.percentile(times @ ordered / N, [2.5, 97.5], axis=0)
    for place in range(3):
        interval = mean_metric("score", values[:, place].tolist()).interval
        assert interval == pytest.approx((low[place], high[place]), rel=1e-12)
    assert 0.93 <= share_within(low, high, truth) <= 0.97


def lengths_and_nll(g: np.random.Generator, rate: float) -> tuple[Floats, Floats]:
    """Texts of 1 to some hundreds of tokens; long ones are easier, so rows do differ."""
    tokens = 1.0 + g.negative_binomial(1, 0.02, (N, SIMULATIONS))
    each = rate + 2 / np.sqrt(tokens) + g.normal(0, 0.5, (N, SIMULATIONS))
    return each * tokens, tokens


def expected_ratio(rate: float) -> float:
    k = np.arange(5000)
    chance = 0.02 * 0.98**k
    tokens = 1.0 + k
    return float((chance * (rate * tokens + 2 * np.sqrt(tokens))).sum() / (chance * tokens).sum())


def test_of_perplexity(times: Floats) -> None:
    nll, tokens = lengths_and_nll(np.random.default_rng(3), 1.5)
    top, bottom = in_order(nll, tokens)
    low, high = np.percentile((times @ top) / (times @ bottom), [2.5, 97.5], axis=0)
    for place in range(3):
        drawn = bootstrap_ratio(nll[:, place], tokens[:, place])
        assert percentiles(drawn) == pytest.approx((low[place], high[place]), rel=1e-12)
    truth = math.exp(expected_ratio(1.5))
    assert 0.93 <= share_within(np.exp(low), np.exp(high), truth) <= 0.97


@pytest.mark.parametrize(("gains", "loses"), [(0.1, 0.05), (0.02, 0.02), (0.4, 0.1), (0.005, 0.01)])
def test_of_a_paired_difference_of_right_and_wrong(gains: float, loses: float) -> None:
    chances = [gains, loses, 1 - gains - loses]
    gained, lost, _ = np.random.default_rng(4).multinomial(N, chances, size=SIMULATIONS).T
    low, high = tango_many(gained, lost, N)
    assert tango(int(gained[0]), int(lost[0]), N) == (low[0], high[0])
    assert 0.93 <= share_within(low, high, gains - loses) <= 0.97


def test_of_a_paired_difference_of_scores(times: Floats) -> None:
    """Two models that share how hard a row is; the second is better by 0.1."""
    g = np.random.default_rng(5)
    hard = g.normal(0, 3, (N, SIMULATIONS))
    first = hard + g.standard_t(5, (N, SIMULATIONS))
    second = hard + 0.1 + g.exponential(1, (N, SIMULATIONS)) - 1
    (change,) = in_order(second - first)
    low, high = np.percentile(times @ change / N, [2.5, 97.5], axis=0)
    sums = resampled_sums((second - first)[:, :1])
    assert percentiles(sums[:, 0] / N) == pytest.approx((low[0], high[0]), rel=1e-12)
    assert 0.93 <= share_within(low, high, 0.1) <= 0.97
    # What pairing is for: as two separate numbers they would be far less certain.
    apart = math.hypot(first[:, 0].std(), second[:, 0].std()) / math.sqrt(N)
    assert (high - low).mean() < 0.5 * 2 * 1.96 * apart


def test_of_a_paired_difference_of_perplexities(times: Floats) -> None:
    g = np.random.default_rng(6)
    nll, tokens = lengths_and_nll(g, 1.5)
    better = nll - 0.1 * tokens + g.normal(0, 0.3, (N, SIMULATIONS)) * tokens
    columns = in_order(nll, better, tokens)
    sums = [times @ column for column in columns]
    drawn = np.exp(sums[1] / sums[2]) - np.exp(sums[0] / sums[2])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    one = resampled_sums(np.stack([each[:, 0] for each in (nll, better, tokens)], axis=1))
    of_one = np.exp(one[:, 1] / one[:, 2]) - np.exp(one[:, 0] / one[:, 2])
    assert percentiles(of_one) == pytest.approx((low[0], high[0]), rel=1e-9)
    truth = math.exp(expected_ratio(1.4)) - math.exp(expected_ratio(1.5))
    assert 0.93 <= share_within(low, high, truth) <= 0.97
