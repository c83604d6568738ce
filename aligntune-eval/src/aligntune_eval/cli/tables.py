"""What was measured, as tables for people and as JSON for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.run.files import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation import Metric
    from aligntune_eval.comparing.compare import Comparison
    from aligntune_eval.runner.runner import TaskResult

__all__ = ["print_results", "results_as_json"]


def results_as_json(results: Sequence[TaskResult], output_dir: str | None) -> str:
    """Everything but the samples, as JSON text."""
    comparisons, notes = _comparisons(results)
    page = _page(output_dir)
    return to_json(
        {
            "results": [result.as_dict() for result in results],
            "comparisons": [each.as_dict() for each in comparisons],
            "notes": notes,
            "page": None if page is None else str(page),
        },
        indent=2,
    )


def print_results(results: Sequence[TaskResult], output_dir: str | None) -> None:
    """A table for each task, the differences between its models, and where the files are."""
    from rich.console import Console

    from aligntune_eval.comparing.table import print_comparisons

    console = Console()
    for task in dict.fromkeys(result.task for result in results):
        of_task = [result for result in results if result.task == task]
        console.print(_table(of_task))
        comparisons, notes = _comparisons(of_task)
        print_comparisons(comparisons, rows=0, console=console)
        for note in notes:
            console.print(note, soft_wrap=True, markup=False, highlight=False)
    files = [result.files for result in results if result.files is not None]
    paths = [path for each in files for path in (each.results, each.samples)]
    page = _page(output_dir)
    for path in dict.fromkeys([*paths, *([] if page is None else [page])]):
        console.print(str(path), soft_wrap=True, markup=False, highlight=False)


def _page(output_dir: str | None) -> Path | None:
    page = None if output_dir is None else Path(output_dir).expanduser() / "report.html"
    return page if page is not None and page.is_file() else None


def _comparisons(results: Sequence[TaskResult]) -> tuple[list[Comparison], list[str]]:
    """Each further model of a task beside the first, and why one is not compared."""
    from aligntune_eval.comparing.compare import compare

    found: list[Comparison] = []
    notes: list[str] = []
    firsts: dict[str, TaskResult] = {}
    for result in results:
        first = firsts.setdefault(result.task, result)
        if first is result:
            continue
        try:
            found.append(compare(first.as_result(), result.as_result()))
        except EvaluationError as error:  # the numbers stand without their difference
            notes.append(f"{result.model} is not compared with {first.model}: {error}")
    return found, notes


def _table(results: Sequence[TaskResult]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    first = results[0]
    n = len(first.rows)
    of = f" of {first.available}" if first.available != n else ""
    table = Table(title=escape(f"{first.task}, {n}{of} rows"), title_justify="left")
    for heading in ("model", "metric"):
        table.add_column(heading, overflow="fold")
    for heading in ("value", "±", "n", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        for place, metric in enumerate(result.evaluation.metrics):
            name = result.model if place == 0 else ""
            table.add_row(escape(name), escape(metric.name), *_numbers(metric))
        table.add_section()
    return table


def _numbers(metric: Metric) -> tuple[str, ...]:
    interval = metric.interval
    return (
        f"{metric.value:.4g}",
        "-" if metric.stderr is None else f"{metric.stderr:.2g}",
        str(metric.n),
        "-" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}",
    )
