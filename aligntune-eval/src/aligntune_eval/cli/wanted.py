"""From flags to tasks: what is measured, and what the flags change of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError

if TYPE_CHECKING:
    from aligntune.plugins import Plugins
    from aligntune_eval.tasks import Runnable

__all__ = ["Wanted", "parse_evaluators", "prepare_wanted"]

# Fields of EvalTask that say how completions are made, and the flags that set them.
_OF_GENERATION = ("max_new_tokens", "temperature", "top_p", "top_k", "num_samples", "stop")


@dataclass(frozen=True)
class Wanted:
    """What the flags name: tasks, a data set with its metrics, and changed fields of `EvalTask`."""

    tasks: tuple[str, ...] = ()
    dataset: str | None = None
    metrics: str | None = None
    params: tuple[str, ...] = ()
    prompt_column: str | None = None
    reference_column: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


def flag_of(field_name: str) -> str:
    """The flag that sets a field of `EvalTask`."""
    return "--limit" if field_name == "max_samples" else "--" + field_name.replace("_", "-")


def prepare_wanted(
    wanted: Wanted, plugins: Plugins, batch_size: int, *, trust_remote_code: bool = False
) -> list[Runnable]:
    """The tasks that the flags ask for, checked and with their rows.

    Raises:
        AlignTuneError: if nothing is asked for, a flag has nothing to act on, or a task is wrong.
    """
    from aligntune_eval.runner.runner import prepare_tasks
    from aligntune_eval.tasks import find_tasks, prepare_task

    if not wanted.tasks and wanted.dataset is None:
        raise EvaluationError(
            "nothing to measure: name a task (--task NAME; `aligntune eval list` shows them) or "
            "rows (--dataset FILE --metrics perplexity)"
        )
    _refuse_without_dataset(wanted)
    found: list[Any] = find_tasks(wanted.tasks, plugins) if wanted.tasks else []
    if wanted.dataset is not None:
        found.append(_of_dataset(wanted))
    for task in found:
        _refuse_useless(task, wanted, plugins)
    return prepare_tasks(
        [
            prepare_task(
                task,
                plugins,
                batch_size=batch_size,
                changes=wanted.changes,
                trust_remote_code=trust_remote_code,
            )
            for task in found
        ],
        plugins,
    )


def _refuse_without_dataset(wanted: Wanted) -> None:
    if wanted.dataset is not None:
        return
    for flag, value in (
        ("--metrics", wanted.metrics),
        ("--param", wanted.params),
        ("--prompt-column", wanted.prompt_column),
        ("--reference-column", wanted.reference_column),
    ):
        if value:
            raise EvaluationError(
                f"{flag} says how the rows of --dataset are measured, and there is no --dataset; "
                "a task says so itself"
            )


def _of_dataset(wanted: Wanted) -> Any:
    """The data set of the flags as a task."""
    from aligntune.evaluation import EvalTask

    assert wanted.dataset is not None
    named = {"prompt": wanted.prompt_column, "reference": wanted.reference_column}
    columns = {to: column for to, column in named.items() if column is not None}

    def renamed(row: dict[str, Any]) -> dict[str, Any]:
        for to, column in columns.items():
            if column not in row:
                raise EvaluationError(
                    f"--{to}-column: there is no column {column!r}; the columns there are: "
                    f"{', '.join(row)}"
                )
        return {to: row[column] for to, column in columns.items()}

    return EvalTask(
        name=Path(wanted.dataset).stem,
        dataset=wanted.dataset,
        metrics=parse_evaluators(wanted.metrics or "perplexity", list(wanted.params)),
        processing_fn=renamed if columns else None,
    )


def _refuse_useless(task: Any, wanted: Wanted, plugins: Plugins) -> None:
    """Refuse flags that nothing would use: of generation, of references, and of examples.

    Raises:
        EvaluationError: names the flag, the task and its metrics.
    """
    from aligntune.evaluation import EvalTask

    if not isinstance(task, EvalTask):
        return
    names = [each if isinstance(each, str) else dict(each).get("type", "") for each in task.metrics]
    facts = [plugins.find(plugins.evaluators, name).facts for name in names]
    changes = wanted.changes
    if wanted.reference_column is not None and all(each.needs == ("text",) for each in facts):
        raise EvaluationError(
            f"--reference-column says where the right answers stand, and {', '.join(names)} "
            "compares with none"
        )
    if "fewshot_split" in changes and not changes.get("num_fewshot", task.num_fewshot):
        raise EvaluationError(
            f"--fewshot-split says where examples come from, and {task.name} is asked without any; "
            "give --num-fewshot too"
        )
    given = [name for name in _OF_GENERATION if name in changes]
    if not given:
        return
    if not any(each.generates for each in facts):
        raise EvaluationError(
            f"{flag_of(given[0])} says how completions are made, and {task.name} makes none: its "
            f"metrics are {', '.join(names)}"
        )


def parse_evaluators(metrics: str, params: list[str]) -> list[dict[str, Any]]:
    """The evaluators that `--metrics` and `--param` name.

    Raises:
        EvaluationError: if a parameter is not written EVALUATOR.KEY=VALUE, its evaluator is not
            among the metrics, or it is given twice.
    """
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    given: dict[str, dict[str, Any]] = {name: {} for name in names}
    for text in params:
        path, equals, value = text.partition("=")
        name, dot, key = path.rpartition(".")
        if not (equals and dot and key):
            raise EvaluationError(f"--param {text!r} is not of the form EVALUATOR.KEY=VALUE")
        if name not in given:
            raise EvaluationError(f"--param {text!r}: {name!r} is not among the metrics {names}")
        if key in given[name]:
            raise EvaluationError(f"--param {text!r}: {path} is given twice")
        given[name][key] = _json_or_text(value)
    return [{"type": name, "params": given[name]} for name in names]


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
