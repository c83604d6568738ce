"""The rows of a task: read, and given to the task's `processing_fn`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.config.sections.dataset import is_data
from aligntune.data.processing import Processing
from aligntune.errors import AlignTuneError, EvaluationError, describe
from aligntune.evaluation.task_checks import wrong_row
from aligntune.registry import import_target
from aligntune_eval.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from aligntune.evaluation import EvalTask

__all__ = ["Row", "processed", "rows_of"]

Row = dict[str, Any]


def rows_of(task: EvalTask, split: str) -> list[Row]:
    """All rows of a split, as they are in the data set.

    Raises:
        DataError: if there is no such data set, subset, split or revision, or it cannot be read.
        EvaluationError: if a function returns no rows, or raises.
    """
    if isinstance(task.dataset, str) or is_data(task.dataset):
        found = read_rows(task.dataset, split, task.subset, task.revision)
    elif callable(task.dataset):
        found = _called(task)
    else:
        found = [dict(row) for row in task.dataset]
    if not found:
        raise EvaluationError("there are no rows to evaluate on")
    return found


def _called(task: EvalTask) -> list[Row]:
    assert callable(task.dataset)
    who = f"the function {task.as_dict()['dataset']}"
    try:
        made: Any = task.dataset()
        rows = list(made)
    except AlignTuneError:
        raise
    except Exception as error:  # the user's function: the boundary that names it
        raise EvaluationError(f"{who}, which is its data set, raised {describe(error)}") from error
    if wrong := wrong_row(rows):
        raise EvaluationError(f"{who}, which is its data set: {wrong}")
    return [dict(row) for row in rows]


def processed(task: EvalTask, rows: list[Row]) -> list[Row]:
    """The rows with what the task's `processing_fn` returns of each.

    Raises:
        PluginError: if it cannot be imported.
        DataError: if it raises, or returns something else than columns; names the row.
    """
    function: Callable[..., Any] | str | None = task.processing_fn
    if function is None:
        return rows
    function = import_target(function, f"processing_fn of the task {task.name!r}")
    if not callable(function):
        raise EvaluationError(f"processing_fn is no function, but {function!r}")
    work = Processing(f"task {task.name!r}", function, batched=False)
    return [{**row, **work(row, index)} for index, row in enumerate(rows)]
