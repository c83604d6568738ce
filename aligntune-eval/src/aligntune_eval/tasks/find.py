"""From what a user names to tasks: registered ones, those of a file, and those of lm-eval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aligntune.evaluation import EvalTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.plugins import Plugins

__all__ = ["HarnessTask", "Task", "find_tasks"]


@dataclass(frozen=True)
class HarnessTask:
    """A task of lm-eval: a name of its list, or a YAML file in its form."""

    name: str
    path: str | None = None


Task = EvalTask | HarnessTask


def find_tasks(names: Sequence[str], plugins: Plugins) -> list[Task]:
    """The tasks that `names` stand for, in order.

    Args:
        names: of registered tasks (`gsm8k`, `owner:name`), of YAML or JSON files of tasks, of tasks
            of lm-eval (`lm_eval:arc_easy`), and of YAML files in lm-eval's form.
        plugins: where registered tasks are looked up.

    Raises:
        NotRegisteredError: for a name that nothing brings.
        ConfigError: for a file that is wrong, with the line.
        EvaluationError: if two tasks have one name.
        UnavailableError: if a task needs a package that is not installed.
    """
    raise NotImplementedError
