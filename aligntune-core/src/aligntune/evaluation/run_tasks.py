"""The tasks of a run, `evaluation.tasks`, which aligntune-eval finds before a model loads.

Tasks bring their own rows and settings, so that they need no evaluation data, and two runs with
different data can be compared by them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, Problem, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.config import RunConfig
    from aligntune.evaluation.metric import Metric
    from aligntune.plugins import Plugins

__all__ = ["measure_tasks", "prepare_run_tasks"]


def prepare_run_tasks(config: RunConfig, plugins: Plugins) -> Sequence[Any]:
    """The tasks that a configuration names, each ready to run.

    Raises:
        UnavailableError: if aligntune-eval is not installed.
        AlignTuneError: if there is no such task, or its rows, metrics or packages are wrong.
    """
    wanted = config.evaluation.tasks
    if not wanted:
        return ()
    if len(set(wanted)) < len(wanted):
        raise ConfigError(Problem("evaluation.tasks", "one is named twice", hint="name it once"))
    try:
        from aligntune_eval.runner.runner import prepare_tasks
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "evaluation.tasks needs aligntune-eval, which is not installed: "
            "pip install aligntune-eval"
        ) from error
    return prepare_tasks(wanted, plugins, batch_size=config.evaluation.batch_size)


def measure_tasks(
    tasks: Sequence[Any], model: Any, tokenizer: Any
) -> list[tuple[str, tuple[Metric, ...]]]:
    """Measure a model on each task: its name, and the metrics, called `<task>/<metric>`."""
    found = []
    for task in tasks:
        name = str(task.task.name)
        metrics = task.run(model, tokenizer).metrics
        found.append((name, tuple(replace(each, name=f"{name}/{each.name}") for each in metrics)))
    return found
