"""lm-eval's numbers as metrics of ours: its value and standard error, and our interval.

An interval comes from the values of the rows where they make the metric: Wilson's or a bootstrap of
a mean, a bootstrap of a ratio of sums (perplexities). Where they do not (F1, BLEU, the mean of
unequal tasks), it is value ± 1.96 standard errors, and its details call it `normal`.

A metric is called as lm-eval calls it: `acc`, or `exact_match,strict-match` with its filter.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.evaluation import Combine, Metric
from aligntune_eval.statistics import bootstrap_ratio, mean_metric, percentiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from aligntune_eval.harness.prepare import PreparedHarness

__all__ = ["metrics_of", "prefix_of", "score_name", "terms_of"]

_Z = 1.959963984540054
_Pairs = list[tuple[float, float]]


def metrics_of(ready: PreparedHarness, results: Mapping[str, Any]) -> list[Metric]:
    """All metrics: those of groups first, then those of each task.

    Raises:
        EvaluationError: if lm-eval gives something that is no number.
    """
    groups = ready.loaded.get("groups") or {}
    found = [
        metric
        for name, group in groups.items()
        for metric in _of_group(name, group, ready, results)
    ]
    for name, task in ready.loaded["tasks"].items():
        found += _of_task(name, task, ready, results)
    if not found:
        raise EvaluationError(f"{ready.task.name} of lm-eval measured nothing")
    return found


def prefix_of(name: str, ready: PreparedHarness) -> str:
    """What stands before the metrics of a task or group that is one of several."""
    alone = len(ready.loaded["tasks"]) == 1 and not ready.loaded.get("groups")
    return "" if alone or name == ready.task.name else f"{name}."


def score_name(metric: str, kind: str) -> str:
    """A metric and the filter that it saw, as one name."""
    return metric if kind == "none" else f"{metric},{kind}"


def terms_of(task: Any, metric: str, value: Any) -> tuple[float, float] | None:
    """What a row adds above and below the line of a ratio of sums; None for other metrics."""
    from lm_eval.api import metrics as theirs

    aggregation = task.aggregation().get(metric)
    if aggregation is theirs.perplexity and _is_number(value):
        return -float(value), 1.0
    if aggregation in (theirs.weighted_perplexity, theirs.bits_per_byte):
        loglikelihood, weight = value
        scale = math.log(2) if aggregation is theirs.bits_per_byte else 1.0
        return -float(loglikelihood) / scale, float(weight)
    return None


def _of_task(
    name: str, task: Any, ready: PreparedHarness, results: Mapping[str, Any]
) -> Iterator[Metric]:
    from lm_eval.api import metrics as theirs

    prefix = prefix_of(name, ready)
    better = results["higher_is_better"].get(name) or {}
    for metric, kind, value, stderr in _entries(name, results):
        lines = [line for line in results["samples"][name] if line["filter"] == kind]
        values = [line[metric] for line in lines if metric in line]
        shown = prefix + score_name(metric, kind)
        aggregation = task.aggregation().get(metric, theirs.mean)
        base = Metric(
            shown,
            value,
            len(values) or len(lines),
            stderr,
            higher_is_better=better.get(metric),
            details={"aggregation": getattr(aggregation, "__name__", str(aggregation)), "of": name},
        )
        if aggregation is theirs.mean and all(map(_is_number, values)):
            yield _as_mean(base, [float(each) for each in values], ready.settings.seed)
        elif values and terms_of(task, metric, values[0]) is not None:
            pairs = [pair for each in values if (pair := terms_of(task, metric, each))]
            # An empty text adds nothing, and a resample of such texts alone has no value.
            pairs = [pair for pair in pairs if pair[1] > 0]
            yield _as_ratio(
                replace(base, n=len(pairs)),
                pairs,
                aggregation is not theirs.bits_per_byte,
                ready.settings.seed,
            )
        else:
            yield _as_normal(base)


def _of_group(
    name: str, group: Any, ready: PreparedHarness, results: Mapping[str, Any]
) -> Iterator[Metric]:
    """A group's means over its tasks, by size or not."""
    prefix = prefix_of(name, ready)
    inner = [task.task_name for task in group.get_all_tasks()]
    for metric, kind, value, stderr in _entries(name, results):
        key = score_name(metric, kind)
        values = [
            line[metric]
            for task in inner
            for line in results["samples"][task]
            if line["filter"] == kind and metric in line
        ]
        better = (results["higher_is_better"].get(name) or {}).get(metric)
        base = Metric(
            prefix + key,
            value,
            len(values),
            stderr,
            higher_is_better=better,
            details={"aggregation": "mean of tasks", "of": name, "tasks": inner},
        )
        plain = [float(each) for each in values if _is_number(each)]
        if len(plain) == len(values) and math.isclose(
            math.fsum(plain) / len(plain), value, rel_tol=1e-9, abs_tol=1e-12
        ):
            yield _as_mean(base, plain, ready.settings.seed)
        else:
            yield _as_normal(base)


def _entries(
    name: str, results: Mapping[str, Any]
) -> Iterator[tuple[str, str, float, float | None]]:
    """Metric, filter, value and standard error, as lm-eval has them for a task or group."""
    measured = results["results"].get(name) or {}
    for key, value in measured.items():
        metric, comma, kind = key.partition(",")
        if not comma or metric.endswith("_stderr"):
            continue
        if not _is_number(value) or not math.isfinite(value):
            raise EvaluationError(
                f"{name} of lm-eval gives {value!r} for {metric}, which is no number"
            )
        stderr = measured.get(f"{metric}_stderr,{kind}")
        known = float(stderr) if stderr is not None and _is_number(stderr) else math.nan
        yield metric, kind, float(value), known if math.isfinite(known) else None


def _as_mean(base: Metric, values: list[float], seed: int) -> Metric:
    ours = mean_metric(base.name, values, seed=seed, details=base.details)
    return replace(base, low=ours.low, high=ours.high, details=ours.details, combine=ours.combine)


def _as_ratio(base: Metric, pairs: _Pairs, exponential: bool, seed: int) -> Metric:
    combine = Combine(
        "exp_ratio" if exponential else "ratio", f"{base.name}.top", f"{base.name}.bottom"
    )
    if len(pairs) < 2:
        return replace(base, combine=combine, details={**base.details, "interval": "none"})
    tops, bottoms = zip(*pairs, strict=True)
    ends: Sequence[float] = percentiles(bootstrap_ratio(tops, bottoms, seed))
    change: Callable[[float], float] = math.exp if exponential else float
    low, high = map(change, ends)
    details = {**base.details, "interval": "bootstrap"}
    return replace(base, low=low, high=high, combine=combine, details=details)


def _as_normal(base: Metric) -> Metric:
    if not base.stderr:  # 0 says that every resample agreed, and not that the value is certain
        return replace(base, details={**base.details, "interval": "none"})
    half = _Z * base.stderr
    details = {**base.details, "interval": "normal"}
    return replace(base, low=base.value - half, high=base.value + half, details=details)


def _is_number(value: Any) -> bool:
    import numpy as np

    return isinstance(value, (bool, int, float, np.number, np.bool_))
