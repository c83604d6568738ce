"""Runs tasks on models: everything is checked first, then one model after the other is in memory.

With an output folder, what is made is on disk batch by batch. A killed evaluation goes on when it
is started again, and what was finished for the same model, task and libraries is read back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError, RunError
from aligntune.evaluation import EvalTask
from aligntune.plugins import get as installed_plugins
from aligntune.run.files import reported_errors
from aligntune_eval.files.results import safe_task
from aligntune_eval.models.checks import check_loadable
from aligntune_eval.models.devices import device_of
from aligntune_eval.models.load import LoadedModel, precision_of
from aligntune_eval.models.sources import find_models, libraries
from aligntune_eval.runner.running import How, RunProgress, run_model
from aligntune_eval.runner.task_result import TaskResult
from aligntune_eval.tasks import HarnessTask, Runnable, find_tasks, prepare_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.plugins import Plugins

__all__ = ["RunProgress", "TaskResult", "evaluate_models", "prepare_tasks"]


def evaluate_models(
    models: Sequence[str | Path | LoadedModel],
    tasks: Sequence[str | Path | EvalTask | HarnessTask | Runnable],
    *,
    output_dir: str | Path | None = None,
    overwrite: bool = False,
    batch_size: int = 16,
    precision: str = "auto",
    device: str | None = None,
    trust_remote_code: bool = False,
    plugins: Plugins | None = None,
    progress: RunProgress | None = None,
    page: bool = True,
) -> list[TaskResult]:
    """Measure every model on every task, in their order, model by model.

    Args:
        models: folders (a full model, an adapter, a merged model, a checkpoint, the directory of a
            training run), hub names, or what `load_model` returned.
        tasks: names (as `aligntune_eval.tasks.find_tasks` takes them), tasks, or prepared tasks.
        output_dir: where results, samples and the page are written. What is there already for the
            same model, task and libraries is not measured again; of a model that is given loaded,
            everything is.
        overwrite: measure anew what is finished or half done.
        batch_size: rows at once; prepared tasks have their own.
        precision: `auto` (as saved), `fp32`, `bf16` or `fp16`; of models that are not loaded yet.
        device: a torch device; unset, the first GPU if there is one, else the CPU.
        trust_remote_code: run Python code that comes with a model, or that a file of a task of
            lm-eval names.
        plugins: where tasks and metrics are looked up; unset, those of the process.
        progress: told how far the work is.
        page: write `report.html` into the output folder.

    Raises:
        AlignTuneError: before any model loads, if a model, a task, its data, a library or the
            output folder is wrong; later, if a model cannot do a task.
    """
    wanted = precision_of(precision)
    device = device_of(device)
    sources = find_models(models)
    plugins = plugins or installed_plugins()
    ready = prepare_tasks(
        tasks, plugins, batch_size=batch_size, trust_remote_code=trust_remote_code
    )
    for source in sources:
        check_loadable(source, ready, trust_remote_code=trust_remote_code)
    folder = None if output_dir is None else _writable(Path(output_dir).expanduser())
    if folder is not None and page:
        _check_readable(folder)
    binding = {"precision": wanted, "device": device, **libraries()}
    how = How(
        folder, overwrite, wanted, device, trust_remote_code, binding, progress or _say_nothing
    )
    results = [result for source in sources for result in run_model(source, ready, how)]
    if folder is not None and page:
        from aligntune_eval.page import write_page

        write_page(folder, folder / "report.html")
    return results


def prepare_tasks(
    tasks: Sequence[str | Path | EvalTask | HarnessTask | Runnable],
    plugins: Plugins,
    *,
    batch_size: int = 16,
    trust_remote_code: bool = False,
) -> list[Runnable]:
    """Find and prepare tasks: all that needs no model.

    Raises:
        AlignTuneError: for whatever is wrong with one, or if two share a name.
    """
    if isinstance(tasks, (str, Path, EvalTask, HarnessTask)):
        raise EvaluationError("tasks is a list, also of one task")
    ready: list[Runnable] = []
    for task in tasks:
        found: Sequence[Any] = [task]
        if isinstance(task, (str, Path)):
            found = find_tasks([str(task)], plugins)
        for each in found:
            if isinstance(each, (EvalTask, HarnessTask)):
                ready.append(
                    prepare_task(
                        each, plugins, batch_size=batch_size, trust_remote_code=trust_remote_code
                    )
                )
            elif callable(getattr(each, "run", None)):
                ready.append(each)
            else:
                raise EvaluationError(
                    f"{each!r} is no task; give a name, a file, an EvalTask or a prepared task"
                )
    if not ready:
        raise EvaluationError("no tasks are given")
    names: dict[str, str] = {}
    for name in (each.task.name for each in ready):
        # Names of files tell tasks apart, and hold only letters, digits and underscores.
        if safe_task(name) in names:
            raise EvaluationError(
                f"two tasks are called {names[safe_task(name)]!r} and {name!r}, which is the same "
                "in names of files; rename one"
            )
        names[safe_task(name)] = name
    return ready


def _writable(folder: Path) -> Path:
    """Make the output folder, and check that files can be written into it."""
    from aligntune_eval.files.reading_run import refuse_run

    refuse_run(folder)
    with reported_errors(f"write into {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EvaluationError(f"{folder} cannot be written to; give another output folder")
    return folder


def _check_readable(folder: Path) -> None:
    """See that the page can be made of what is there already, before hours go into more of it.

    Raises:
        EvaluationError: if a file of results cannot be read; names it.
    """
    from aligntune_eval.files.reading_files import read_folder

    try:
        read_folder(folder)
    except (EvaluationError, RunError) as error:
        raise EvaluationError(f"{error}; move it away, or give another output folder") from error


def _say_nothing(model: str, task: str, what: str, done: int, total: int) -> None:
    """Report nothing."""
