"""Reads back a task that was finished for the same model, so that it is not measured again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError, RunError
from aligntune.evaluation import Combine, Evaluation, Metric
from aligntune.run.files import read_json, read_jsonl
from aligntune_eval.files.lines import sample_of
from aligntune_eval.files.results import ResultFiles, measured, safe_task
from aligntune_eval.runner.store import changes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Finished", "evaluation_from", "evaluation_to", "find_finished"]


@dataclass(frozen=True)
class Finished:
    """A finished task with its files; or, without them, what has changed since there were some.

    `latest`: whether no later evaluation of the task by us lies beside it, which a reader of the
    folder would take instead.
    """

    evaluation: Evaluation | None = None
    files: ResultFiles | None = None
    changed: tuple[str, ...] = ()
    latest: bool = True


def find_finished(folder: Path, task: str, binding: Mapping[str, str]) -> Finished:
    """The newest finished evaluation of a task in a model's folder that rests on the same.

    Raises:
        EvaluationError: if a file there cannot be read; names it.
    """
    changed: tuple[str, ...] = ()
    latest = True
    for path in sorted(folder.glob("results_*.json"), reverse=True):
        samples = path.with_name(f"samples_{safe_task(task)}{path.stem[len('results') :]}.jsonl")
        try:
            ours = _ours(read_json(path), task)
            if ours is None:
                continue  # another program's, or of another task
            if not ours.get("binding") or not samples.is_file():
                latest = False  # of a model that was given loaded
                continue
            if different := changes(ours["binding"], binding):
                changed = changed or tuple(different)
                latest = False
                continue
            lines = read_jsonl(samples)
        except RunError as error:
            raise EvaluationError(
                f"{error}; move the file away, or measure anew (--overwrite)"
            ) from error
        found = {**ours, "samples": [sample_of(line) for line in lines]}
        return Finished(evaluation_from(found), ResultFiles(path, samples), latest=latest)
    return Finished(changed=changed)


def _ours(results: Any, task: str) -> dict[str, Any] | None:
    tasks = results.get("aligntune", {}).get("tasks", {}) if isinstance(results, dict) else {}
    found: dict[str, Any] | None = tasks.get(task)
    return found


def evaluation_to(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON values, without secrets."""
    return {**measured(evaluation), "samples": evaluation.samples}


def evaluation_from(value: Mapping[str, Any]) -> Evaluation:
    """The evaluation that `evaluation_to` made JSON values of."""
    return Evaluation(
        tuple(_metric(each) for each in value["metrics"]), value["samples"], value["seconds"]
    )


def _metric(value: Mapping[str, Any]) -> Metric:
    combine = value["combine"]
    return Metric(**{**value, "combine": None if combine is None else Combine(**combine)})
