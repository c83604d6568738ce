"""The paired difference of one metric, with its interval.

A metric is paired only where its rows give the number that stands in the results; where they do
not, both numbers are shown without an interval, and `Difference.method` says why.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from aligntune_eval.comparing.comparison import Difference, has_values, row_value, same
from aligntune_eval.comparing.corpus import corpus_resamples
from aligntune_eval.comparing.paired import mcnemar, resampled_sums, tango
from aligntune_eval.files.reading import combined
from aligntune_eval.statistics import percentiles

if TYPE_CHECKING:
    from aligntune.evaluation import Combine, Metric
    from aligntune_eval.files.reading import Result, Row
    from aligntune_eval.statistics import Floats

__all__ = ["difference_of"]


def difference_of(
    one: Metric,
    other: Metric,
    results: tuple[Result, Result],
    pairs: list[tuple[Row, Row]],
    seed: int,
) -> Difference:
    """The difference of one metric, by its pairs where its rows make it."""
    combine = one.combine
    plain = Difference(
        one.name,
        one.value,
        other.value,
        other.value - one.value,
        min(one.n, other.n),
        higher_is_better=one.higher_is_better,
        unit=one.unit,
        combine=combine,
    )
    kept = [] if combine is None else [p for p in pairs if all(has_values(r, combine) for r in p)]
    if why := _why_not(one, other, results, kept):
        return replace(plain, method=f"no interval: {why}")
    assert combine is not None
    counted = _counted(plain, kept)
    if combine.kind != "corpus":
        return _with_interval(counted, combine, kept, seed)
    rows = [[row for row in result.rows if has_values(row, combine)] for result in results]
    found = corpus_resamples((one, other), rows, kept, seed)
    if isinstance(found, str):
        return replace(plain, method=f"no interval: {found}")
    return _with_bootstrap(replace(counted, first=found[0], second=found[1]), found[2])


def _why_not(
    one: Metric, other: Metric, results: tuple[Result, Result], kept: list[tuple[Row, Row]]
) -> str:
    """Why the rows of a metric cannot be paired; empty if they can."""
    if one.combine is None or other.combine != one.combine:
        return "how the rows make it is not in the results"
    if not all(result.rows for result in results):
        return "there are no samples of the rows"
    if not kept:
        return "no row has a value in both"
    for metric, result in zip((one, other), results, strict=True):
        rows = [row for row in result.rows if has_values(row, one.combine)]
        if len(rows) != metric.n:
            return f"{len(rows)} of the {metric.n} rows of {result.model} are in its samples"
        if one.combine.kind != "corpus" and not _make(rows, metric):
            return f"the rows of {result.model} do not give the number in its results"
    return ""


def _counted(difference: Difference, pairs: list[tuple[Row, Row]]) -> Difference:
    """With the number of pairs, and of rows that are better, worse and equal."""
    sign = -1.0 if difference.higher_is_better is False else 1.0
    better = worse = equal = 0
    for first, second in pairs:
        before, after = row_value(difference, first), row_value(difference, second)
        if before is None or after is None:
            continue
        if same(before, after):
            equal += 1
        elif sign * (after - before) > 0:
            better += 1
        else:
            worse += 1
    return replace(difference, n=len(pairs), better=better, worse=worse, equal=equal)


def _with_interval(
    difference: Difference, combine: Combine, pairs: list[tuple[Row, Row]], seed: int
) -> Difference:
    first, second = (combined(combine, [pair[place] for pair in pairs]) for place in (0, 1))
    assert first is not None
    assert second is not None
    difference = replace(difference, first=first, second=second)
    tops = np.array([[row.values[combine.top] for row in pair] for pair in pairs])
    if combine.kind == "mean":
        if np.isin(tops, (0.0, 1.0)).all():
            return _of_proportions(difference, tops)
        sums = resampled_sums((tops[:, 1] - tops[:, 0])[:, None], seed)
        return _with_bootstrap(difference, sums[:, 0] / len(pairs))
    below = np.array([[row.values[combine.bottom] for row in pair] for pair in pairs])
    sums = resampled_sums(np.concatenate([tops, below], axis=1), seed)
    drawn = sums[:, :2] / sums[:, 2:]
    if combine.kind == "exp_ratio":
        drawn = np.exp(drawn)
    return _with_bootstrap(difference, drawn[:, 1] - drawn[:, 0])


def _of_proportions(difference: Difference, values: Floats) -> Difference:
    """0 and 1 alone: Tango's interval, and McNemar's test of the rows that changed."""
    n, change = len(values), values[:, 1] - values[:, 0]
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    low, high = tango(gained, lost, n)
    return replace(
        difference,
        value=(gained - lost) / n,
        stderr=None if n < 2 else float(change.std(ddof=1) / math.sqrt(n)),
        low=low,
        high=high,
        p=mcnemar(gained, lost),
        method="Tango's score interval",
    )


def _with_bootstrap(difference: Difference, drawn: Floats) -> Difference:
    difference = replace(difference, value=difference.second - difference.first)
    if difference.n < 2:
        return replace(difference, method="no interval: a single row says nothing of the spread")
    spread = float(drawn.std(ddof=1))
    if spread <= 1e-12 * max(1.0, abs(difference.value)):
        return replace(difference, method="no interval: every resample gives the same difference")
    low, high = percentiles(drawn)
    method = f"paired bootstrap over rows, {len(drawn):,} resamples"
    return replace(difference, stderr=spread, low=low, high=high, method=method)


def _make(rows: list[Row], metric: Metric) -> bool:
    """Whether the rows give the number that stands in the results."""
    assert metric.combine is not None
    value = combined(metric.combine, rows)
    return value is not None and math.isclose(value, metric.value, rel_tol=1e-6, abs_tol=1e-9)
