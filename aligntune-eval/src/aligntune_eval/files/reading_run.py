"""Reads what a training run measured: the last measurement of each metric, by data set.

A run writes down the completions of the first rows alone, so most of its metrics stand without
rows, and are read without them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.evaluation import Combine, Metric
from aligntune.run import RunDirectory
from aligntune_eval.files.reading import Result, Row, digest, numbers, plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["is_run", "read_run", "refuse_run"]

_FIELDS = ("name", "value", "n", "stderr", "low", "high", "unit", "details", "higher_is_better")


def is_run(path: Path) -> bool:
    """Whether a training run has left its mark in a folder."""
    return (path / "run.json").is_file()


def refuse_run(folder: Path) -> None:
    """Refuse to write an evaluation into the directory of a training run.

    Raises:
        EvaluationError: if it is one; its report would be replaced, and its own measurements be
            read instead of the evaluation.
    """
    if is_run(folder):
        raise EvaluationError(
            f"{folder} is the directory of a training run, with a report of its own; give another "
            f"output folder, such as {folder / 'eval'}"
        )


def read_run(path: Path) -> list[Result]:
    """One result for each data set that the run measured on.

    Raises:
        RunError: if a file is broken; names the line.
        EvaluationError: if the run measured nothing.
    """
    run = RunDirectory.open(path)
    lines = run.read_jsonl(run.evaluation)
    if not lines:
        raise EvaluationError(
            f"the run in {path} measured nothing ({run.evaluation.name} is missing or empty); set "
            "`evaluation.evaluators` and `eval_datasets`, or evaluate its model with "
            "`aligntune eval`"
        )
    shown = [line for line in run.read_jsonl(run.samples) if line.get("evaluation")]
    name = str(run.read_status().get("name") or path.resolve().name)
    sets = dict.fromkeys(str(line.get("dataset") or "evaluation") for line in lines)
    return [_result(run, name, dataset, lines, shown) for dataset in sets]


def _result(
    run: RunDirectory,
    name: str,
    dataset: str,
    lines: list[dict[str, Any]],
    shown: list[dict[str, Any]],
) -> Result:
    last: dict[str, dict[str, Any]] = {}
    for line in lines:
        if str(line.get("dataset") or "evaluation") == dataset:
            last[str(line.get("name"))] = line
    steps = {line.get("step") for line in last.values()}
    step = max((s for s in steps if isinstance(s, int | float)), default=None)
    at_end = (line for line in shown if line.get("step") == step)
    # The last step may be measured twice, during and after training; the later line counts.
    rows = tuple({row.key: row for row in map(_row, itertools.count(), at_end)}.values())
    metrics = tuple(_metric(run.evaluation, line) for line in last.values())
    notes = [f"measured by the training run in {run.path}, last at step {step}"]
    if len(steps) > 1:
        notes.append(
            "not all metrics are of this step: "
            + ", ".join(f"{key} at {line.get('step')}" for key, line in last.items())
        )
    most = max(metric.n for metric in metrics)
    if rows and len(rows) < most:
        notes.append(f"the run wrote down {len(rows)} of the {most} rows that it measured")
    return Result(name, dataset, metrics, rows, {}, None, (run.evaluation,), None, tuple(notes))


def _metric(path: Path, line: Mapping[str, Any]) -> Metric:
    combine = line.get("combine")
    fields = {key: line[key] for key in _FIELDS if line.get(key) is not None}
    try:
        return Metric(**fields, combine=Combine(**combine) if combine else None)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{path}: a line of {line.get('name')!r}: {error}") from error


def _row(index: int, line: Mapping[str, Any]) -> Row:
    target = plain_text(line.get("reference"))
    return Row(
        digest({"prompt": line.get("prompt")}, target),
        index,
        plain_text(line.get("prompt")),
        target,
        (plain_text(line.get("completion")),),
        numbers(line.get("rewards") or {}),
    )
