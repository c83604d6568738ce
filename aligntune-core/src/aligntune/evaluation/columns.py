"""What rows bring, compared with what an evaluator needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.scoring.references import REFERENCE_COLUMNS

if TYPE_CHECKING:
    from aligntune.evaluation.protocol import EvaluationSettings

__all__ = ["COMPARED", "Rows", "columns_of", "compared_column", "reference_column", "require"]

Rows = Sequence[Mapping[str, Any]]

COMPARED = "reference or completion"
"""The need of evaluators that compare with the completion of a row where it has no reference."""


def columns_of(rows: Rows) -> list[str]:
    """Names of the columns that hold a value in at least one row, in order of appearance."""
    return list(
        dict.fromkeys(key for row in rows for key, value in row.items() if value is not None)
    )


def reference_column(rows: Rows, settings: EvaluationSettings) -> str:
    """The column that holds the references.

    Raises:
        EvaluationError: if there is none; names the columns there are.
    """
    there = columns_of(rows)
    wanted = (settings.reference_column,) if settings.reference_column else REFERENCE_COLUMNS
    for name in wanted:
        if name in there:
            return name
    raise EvaluationError(
        f"no reference column: looked for {', '.join(wanted)}; {_there(there)}; "
        "set `reference_column` to the one that holds the right answers"
    )


def compared_column(rows: Rows, settings: EvaluationSettings) -> str:
    """The column of the references, or else `completion`, where no other is asked for.

    Raises:
        EvaluationError: if there is neither; names the columns there are.
    """
    try:
        return reference_column(rows, settings)
    except EvaluationError:
        if settings.reference_column is None and "completion" in columns_of(rows):
            return "completion"
        raise


def require(who: str, needs: Iterable[str], rows: Rows, settings: EvaluationSettings) -> None:
    """Check that every row has what `needs` names.

    `"prompt"` is the prompt column of the settings; `"reference"` the reference column, and
    `"reference or completion"` what `compared_column` says; `"text"` running text: a `text`,
    `messages`, or a prompt with a `completion`. Any other need is the name of a column.

    Raises:
        EvaluationError: names the evaluator, the first row without it, and the columns there are.
    """
    for need in needs:
        options = _options(who, need, rows, settings)
        for index, row in enumerate(rows):
            if any(all(row.get(name) is not None for name in group) for group in options):
                continue
            wanted = " or ".join(" with ".join(map(repr, group)) for group in options)
            raise EvaluationError(
                f"evaluator {who!r} needs {wanted}, which row {index} does not have; "
                f"{_there(columns_of(rows))}"
            )


def _options(
    who: str, need: str, rows: Rows, settings: EvaluationSettings
) -> tuple[tuple[str, ...], ...]:
    """Groups of columns, any one of which meets the need."""
    if need == "text":
        return (("text",), ("messages",), (settings.prompt_column, "completion"))
    if need == "prompt":
        return ((settings.prompt_column,),)
    if need in ("reference", COMPARED):
        find = compared_column if need == COMPARED else reference_column
        try:
            return ((find(rows, settings),),)
        except EvaluationError as error:
            raise EvaluationError(f"evaluator {who!r}: {error}") from None
    return ((need,),)


def _there(columns: list[str]) -> str:
    return f"the columns there are: {', '.join(columns)}" if columns else "the rows hold no values"
