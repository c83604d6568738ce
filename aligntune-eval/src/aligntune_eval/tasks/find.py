"""From what a user names to tasks: registered ones, those of a file, and those of lm-eval."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import (
    AlignTuneError,
    ConfigError,
    EvaluationError,
    NotRegisteredError,
    PluginError,
    Problem,
    UnavailableError,
    describe,
)
from aligntune.evaluation import EvalTask
from aligntune.scoring.build import missing_packages
from aligntune_eval.tasks.files import is_file, is_of_harness, read_tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.facts import TaskFacts
    from aligntune.plugins import Plugins
    from aligntune.registry import Entry

__all__ = ["HARNESS", "HarnessTask", "Task", "find_tasks", "load_task"]

HARNESS = "lm_eval:"
"""What stands before the name of a task of lm-eval."""


@dataclass(frozen=True)
class HarnessTask:
    """A task or group of lm-eval: a name of its list, or a YAML file, or a folder of such files."""

    name: str
    path: str | None = None


Task = EvalTask | HarnessTask


def find_tasks(names: Sequence[str], plugins: Plugins) -> list[Task]:
    """The tasks that `names` stand for, in order.

    Args:
        names: of registered tasks (`gsm8k`, `owner:name`); of YAML or JSON files of tasks; of tasks
            of lm-eval (`lm_eval:arc_easy`), and of YAML files in its form, or folders of them.
        plugins: where registered tasks are looked up.

    Raises:
        NotRegisteredError: for a name that nothing brings.
        ConfigError: for a file that is wrong, with the line.
        EvaluationError: if two tasks have one name.
        UnavailableError: if a task needs a package that is not installed.
    """
    found: list[Task] = []
    for name in names:
        found.extend(_named(name, plugins))
    # A file of lm-eval says itself what its task is called, which shows when it is read.
    names = [
        task.name for task in found if isinstance(task, EvalTask) or not is_file(str(task.path))
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise EvaluationError(f"the task {twice[0]!r} is named twice; results need a name for each")
    return found


def _named(name: str, plugins: Plugins) -> list[Task]:
    if name.startswith(HARNESS):
        return [HarnessTask(name.removeprefix(HARNESS))]
    if Path(name).is_dir() and not plugins.tasks.matching(name):
        return [HarnessTask(Path(name).name, name)]
    if not is_file(name):
        return [_registered(name, plugins)]
    if not Path(name).is_file():
        raise ConfigError(Problem("", "there is no such file of tasks", name))
    if is_of_harness(name):
        return [HarnessTask(Path(name).stem, name)]
    return [*read_tasks(name)]


def _registered(name: str, plugins: Plugins) -> EvalTask:
    try:
        entry = plugins.find(plugins.tasks, name)
    except NotRegisteredError as error:
        hint = f"a task of lm-eval is written {HARNESS}{name}, a file of tasks ends in .yaml"
        raise NotRegisteredError(f"{error}; {hint}") from None
    if missing := missing_packages(entry.facts):
        command = f': pip install "{entry.facts.install}"' if entry.facts.install else ""
        raise UnavailableError(
            f"task {name!r} needs {', '.join(missing)}, which is not installed{command}"
        )
    return load_task(entry)


def load_task(entry: Entry[TaskFacts]) -> EvalTask:
    """The task that a plugin registered: an `EvalTask`, or a function that returns one.

    Raises:
        PluginError: if it cannot be made, or is called otherwise; names the distribution.
    """
    who = f"task {entry.name!r} of {entry.owner}"
    made: Any = entry.load()
    if callable(made):
        try:
            made = made()
        except AlignTuneError:
            raise
        except Exception as error:  # another's code: the boundary that names it
            raise PluginError(f"{who}: {describe(error)}") from error
    if not isinstance(made, EvalTask):
        raise PluginError(f"{who} is no EvalTask, and no function that returns one: {made!r}")
    if made.name != entry.name:
        raise PluginError(f"{who} is an EvalTask called {made.name!r}; the names must agree")
    return made
