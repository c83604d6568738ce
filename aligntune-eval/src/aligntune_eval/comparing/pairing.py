"""Which rows of two evaluations belong together, and what else differs between the two.

Rows are paired by what was asked (`Row.key`). Rows that ask the same several times are
interchangeable, so the first of them is paired with the first, the second with the second.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aligntune.evaluation import Metric
    from aligntune_eval.files.reading import Result, Row

__all__ = ["notes_on", "pair_rows"]

# Numbers in the details of a metric that define it; texts do, except for how its interval was made.
_DEFINING = ("window", "stride", "k", "layer", "top_k", "num_bins", "bins", "threshold")
_NOT_DEFINING = ("interval", "isolation")


def pair_rows(first: Result, second: Result) -> list[tuple[Row, Row]]:
    """The rows that both have, in the order of the first.

    Raises:
        EvaluationError: if rows do not say what was asked, or both have none in common.
    """
    for result in (first, second):
        if any(not row.key for row in result.rows):
            raise EvaluationError(
                f"the samples of {result.model} do not say what was asked, so they cannot be "
                "paired; give the rows: result_of(evaluation, model=..., task=..., rows=rows)"
            )
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in reversed(second.rows):
        waiting[row.key].append(row)
    pairs = [(row, waiting[row.key].pop()) for row in first.rows if waiting[row.key]]
    if not pairs and first.rows and second.rows:
        raise EvaluationError(
            f"{first.task}: none of the {len(first.rows)} rows of {_said(first)} is among the "
            f"{len(second.rows)} of {_said(second)}: rows are paired by their columns and their "
            f"target, and {_how_they_differ(first.rows[0], second.rows[0])}; evaluate both on the "
            "same rows"
        )
    return pairs


def _how_they_differ(first: Row, second: Row) -> str:
    columns = [sorted(row.doc) for row in (first, second)]
    if columns[0] != columns[1]:
        return f"the columns are {', '.join(columns[0])} here and {', '.join(columns[1])} there"
    for name in columns[0]:
        if first.doc[name] != second.doc[name]:
            return f"the first rows differ in the column {name!r}"
    return f"the targets of the first rows are {first.reference!r} and {second.reference!r}"


def _said(result: Result) -> str:
    return str(result.files[0]) if result.files else result.model


def notes_on(first: Result, second: Result, pairs: list[tuple[Row, Row]]) -> list[str]:
    """What differs besides the model, in sentences."""
    found = [f"{result.model}: {note}" for result in (first, second) for note in result.notes]
    missing = {"first": len(first.rows) - len(pairs), "second": len(second.rows) - len(pairs)}
    for result, count in zip((first, second), missing.values(), strict=True):
        if count and pairs:
            found.append(f"{_rows(count)} of {result.model} have no partner and are left out")
    found += [
        f"{name}: {_shown(one)} in {first.model}, {_shown(other)} in {second.model}"
        for name, one, other in _differing(first.settings, second.settings)
    ]
    prompts = sum(one.prompt != other.prompt for one, other in pairs)
    if prompts:
        found.append(
            f"the prompts of {_rows(prompts)} differ (chat template, few-shot examples or system "
            "prompt), though what was asked is the same"
        )
    for name, models in _alone(first, second):
        found.append(f"only {models} has {name}, which is not compared")
    return list(dict.fromkeys(found))


def definitions(one: Metric, other: Metric) -> list[str]:
    """Where two metrics of one name were made differently."""
    return [
        f"{one.name}: {name} is {_shown(a)} in the first and {_shown(b)} in the second"
        for name, a, b in _differing(_defining(one), _defining(other))
    ]


def _defining(metric: Metric) -> dict[str, Any]:
    return {
        name: value
        for name, value in metric.details.items()
        if name in _DEFINING or (isinstance(value, str) and name not in _NOT_DEFINING)
    }


def _differing(one: Any, other: Any) -> Iterable[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*one, *other)):
        if one.get(name) != other.get(name):
            yield name, one.get(name), other.get(name)


def _alone(first: Result, second: Result) -> Iterable[tuple[str, str]]:
    have = Counter(metric.name for result in (first, second) for metric in result.metrics)
    for result in (first, second):
        names = [metric.name for metric in result.metrics if have[metric.name] == 1]
        if names:
            yield ", ".join(names), result.model


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count} rows"


def _shown(value: Any) -> str:
    return "unset" if value is None else str(value)
