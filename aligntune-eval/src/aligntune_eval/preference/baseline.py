"""What completions are compared with: a column of the rows, or what another model said to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.data.formats.values import shown
from aligntune.errors import DataError, EvaluationError, did_you_mean
from aligntune.evaluation.columns import columns_of, reference_column, require
from aligntune.scoring.conversation import completion_text
from aligntune_eval.files.reading import Result, read_results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.evaluation import EvaluationSettings
    from aligntune.evaluation.columns import Rows

__all__ = ["baseline_texts"]


def baseline_texts(
    who: str, baseline: str | None, rows: Rows, settings: EvaluationSettings
) -> list[str]:
    """One text for each row.

    Args:
        who: the evaluator, for messages.
        baseline: a column; or a folder of results, a `results_*.json` or a `samples_*.jsonl` that
            an evaluation of the same rows wrote; None for the reference column.
        rows: with the columns.
        settings: of this evaluation.

    Raises:
        EvaluationError: if there is none such, or it lacks the completion of a row.
    """
    columns = columns_of(rows)
    if baseline is None:
        require(who, ["reference"], rows, settings)
        return _of_column(who, reference_column(rows, settings), rows)
    if baseline in columns:
        require(who, [baseline], rows, settings)
        return _of_column(who, baseline, rows)
    if not Path(baseline).expanduser().exists():
        hint = did_you_mean(baseline, columns)
        raise EvaluationError(
            f"evaluator {who!r}: baseline {baseline!r} is no column of the rows and no file or "
            f"folder of an evaluation{'; ' + hint if hint else ''}; the columns there are: "
            f"{', '.join(columns)}"
        )
    return _of_evaluation(who, baseline, rows)


def _of_column(who: str, column: str, rows: Rows) -> list[str]:
    return [_text(who, column, index, row[column]) for index, row in enumerate(rows)]


def _text(who: str, column: str, index: int, value: Any) -> str:
    """The text of a value: itself, a list of one text, or what the assistant said last."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    try:
        return completion_text(value)
    except DataError:
        raise EvaluationError(
            f"evaluator {who!r}: the baseline {column!r} of row {index} is {shown(value)}; "
            "expected one text, or chat messages"
        ) from None


def _of_evaluation(who: str, baseline: str, rows: Rows) -> list[str]:
    """The completions of the one result that holds every row."""
    fitting: list[tuple[Result, list[str]]] = []
    lacking = ""
    for result in _results(baseline):
        said = _said(result)
        missing = [index for index, row in enumerate(rows) if _key(row) not in said]
        if not missing:
            fitting.append((result, [said[_key(row)] for row in rows]))
        elif not lacking:
            lacking = f"{len(missing)} of {len(rows)} rows, the first of them row {missing[0]}"
    if len(fitting) == 1:
        return fitting[0][1]
    if not fitting:
        raise EvaluationError(
            f"evaluator {who!r}: baseline {baseline} holds no completions of these rows: there are "
            f"none of {lacking or 'any row'}; name an evaluation that generated completions of the "
            "same rows, one of each"
        )
    named = ", ".join(sorted(f"{result.model} on {result.task}" for result, _ in fitting))
    raise EvaluationError(
        f"evaluator {who!r}: baseline {baseline} holds the completions of these rows more than "
        f"once ({named}); name the samples_*.jsonl of one of them"
    )


def _results(baseline: str) -> list[Result]:
    path = Path(baseline).expanduser()
    if path.suffix != ".jsonl":
        return read_results(path)
    beside = sorted(path.parent.glob("results_*.json"))
    found = [result for each in beside for result in read_results(each) if path in result.files]
    if not found:
        raise EvaluationError(
            f"{path} belongs to no results_*.json beside it; name the samples_*.jsonl that an "
            "evaluation wrote, in the folder where it wrote it"
        )
    return found


def _said(result: Result) -> dict[str, str]:
    """The completion of each row of which there is just one, by what the row holds."""
    return {_key(row.doc): row.completions[0] for row in result.rows if len(row.completions) == 1}


def _key(row: Mapping[str, Any]) -> str:
    return json.dumps(dict(row), sort_keys=True, ensure_ascii=False, default=str)
