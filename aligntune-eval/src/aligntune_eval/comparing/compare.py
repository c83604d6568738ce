"""Compares two evaluations by paired difference: the same rows, asked of two models.

What makes a row hard is hard for both models, so the difference is known far better than either
number: its interval comes from resampling rows, both models on the same ones. A difference whose
interval does not hold 0 is more than the choice of rows explains.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aligntune.errors import EvaluationError
from aligntune.evaluation import Evaluation
from aligntune_eval.comparing.comparison import Change, Comparison, Difference
from aligntune_eval.comparing.differences import difference_of
from aligntune_eval.comparing.pairing import definitions, notes_on, pair_rows
from aligntune_eval.files.reading import Result, read_results, result_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from aligntune.evaluation import Metric
    from aligntune_eval.files.reading import Row
    from aligntune_eval.runner.task_result import TaskResult

__all__ = ["Change", "Comparison", "Difference", "compare", "compare_results", "compare_runs"]

_Side = dict[str, dict[str, Result]]
"""The results of one path, by model and task."""


def compare(
    first: Result | Evaluation, second: Result | Evaluation, *, seed: int = 0
) -> Comparison:
    """The paired difference of each metric that both have, second minus first.

    Rows are paired by what was asked, never by position alone: see `Row` in
    `aligntune_eval.files.reading`.

    Args:
        first: the baseline: a `Result` (of `read_results` or `result_of`), or an `Evaluation`.
        second: what is compared with it.
        seed: of the bootstrap.

    Raises:
        EvaluationError: if the tasks differ, no row or no metric is in both, or rows do not say
            what was asked.
    """
    one, other = _named(first, "first"), _named(second, "second")
    if one.task != other.task:
        raise EvaluationError(
            f"{one.model} was measured on {one.task!r} and {other.model} on {other.task!r}; only "
            "evaluations on the same task can be compared"
        )
    shared = [m for m in one.metrics if any(m.name == n.name for n in other.metrics)]
    if not shared:
        sides = (", ".join(m.name for m in r.metrics) or "none" for r in (one, other))
        raise EvaluationError(
            f"{one.task}: no metric is in both: {one.model} has {next(sides)}, and {other.model} "
            f"has {next(sides)}"
        )
    pairs = pair_rows(one, other)
    notes = notes_on(one, other, pairs)
    differences = []
    for metric in shared:
        twin = other.metric(metric.name)
        notes += [*definitions(metric, twin), *_tokenizers(metric, pairs)]
        differences.append(difference_of(metric, twin, (one, other), pairs, seed))
    return Comparison(
        one.task,
        one.model,
        other.model,
        tuple(differences),
        tuple(pairs),
        len(one.rows) - len(pairs),
        len(other.rows) - len(pairs),
        tuple(notes),
        (one, other),
    )


def compare_runs(paths: Sequence[str | Path], *, seed: int = 0) -> list[Comparison]:
    """Compare the evaluations at one or more paths, task by task, each with the first.

    One path with several models compares its models. Several paths with one model each compare
    those models; several paths with the same models compare each model with itself.

    Raises:
        EvaluationError: if there are not two things to compare, or no task is in both; says what
            is there.
    """
    sides = [_by_model(read_results(path)) for path in paths]
    if len(sides) == 1:
        return compare_results(
            [r for model in sides[0].values() for r in model.values()], seed=seed
        )
    found = []
    for path, side in zip(paths[1:], sides[1:], strict=True):
        made = []
        for one, other in _partners(str(paths[0]), sides[0], str(path), side):
            made += _compare_tasks(one, other, seed)
        if len(sides[0]) > 1 or len(side) > 1:
            made[0] = _noting(made[0], "in one run alone", sides[0].keys() ^ side.keys())
        found += made
    return found


def compare_results(results: Sequence[Result | TaskResult], *, seed: int = 0) -> list[Comparison]:
    """Compare the models among `results`, task by task, each with the first.

    Args:
        results: what `read_results` or `evaluate_models` returned.
        seed: of the bootstrap.

    Raises:
        EvaluationError: if there are no results, or those of one model alone, or no task is in
            both.
    """
    if not results:
        raise EvaluationError("there are no results to compare")
    read = [each if isinstance(each, Result) else each.as_result() for each in results]
    first, *others = _by_model(read).values()
    if not others:
        model = next(iter(first.values())).model
        raise EvaluationError(
            f"there is one model alone, {model}, and nothing to compare it with; name a second run"
        )
    return [c for other in others for c in _compare_tasks(first, other, seed)]


def _named(given: Result | Evaluation, name: str) -> Result:
    if isinstance(given, Evaluation):
        return result_of(given, model=name, task="evaluation")
    return given


def _tokenizers(metric: Metric, pairs: list[tuple[Row, Row]]) -> list[str]:
    """A perplexity is of tokens: those of two tokenizers are not the same thing."""
    if metric.combine is None or metric.combine.bottom != "tokens":
        return []
    count = sum(a.values.get("tokens") != b.values.get("tokens") for a, b in pairs)
    if not count:
        return []
    said = (
        f"{metric.name}: the tokenizers differ (in {count} rows the number of tokens does), and "
        "values per token of different tokenizers are not comparable; bits_per_byte is"
    )
    return [said]


def _by_model(results: Sequence[Result]) -> _Side:
    found: _Side = {}
    for result in results:
        found.setdefault(result.model, {})[result.task] = result
    return found


def _partners(
    here: str, first: _Side, there: str, second: _Side
) -> list[tuple[dict[str, Result], dict[str, Result]]]:
    """Which model of the first path belongs to which of the second."""
    shared = [model for model in first if model in second]
    if len(first) == len(second) == 1 and not shared:
        return [(next(iter(first.values())), next(iter(second.values())))]
    if not shared:
        raise EvaluationError(
            f"{here} holds {', '.join(first)} and {there} holds {', '.join(second)}: which to "
            "compare is open; name the folders of the models in them"
        )
    return [
        (_called(first[model], f"{model} ({here})"), _called(second[model], f"{model} ({there})"))
        for model in shared
    ]


def _called(side: dict[str, Result], name: str) -> dict[str, Result]:
    return {task: replace(result, model=name) for task, result in side.items()}


def _compare_tasks(
    first: dict[str, Result], second: dict[str, Result], seed: int
) -> list[Comparison]:
    """One comparison for each task that both have; the others are said in its notes."""
    shared = [task for task in first if task in second]
    if not shared:
        one, other = next(iter(first.values())), next(iter(second.values()))
        raise EvaluationError(
            f"{one.model} was measured on {', '.join(first)} and {other.model} on "
            f"{', '.join(second)}: no task is in both"
        )
    found = [compare(first[task], second[task], seed=seed) for task in shared]
    found[0] = _noting(found[0], "measured for one model alone", first.keys() ^ second.keys())
    return found


def _noting(comparison: Comparison, why: str, names: Collection[str]) -> Comparison:
    """The comparison, with a note of what has no partner, if anything has none."""
    if not names:
        return comparison
    said = f"{why}, and not compared: {', '.join(sorted(names))}"
    return replace(comparison, notes=(*comparison.notes, said))
