"""Whether lm-eval is here, and what is private in it: the one module that knows its inside.

lm-eval's own list of tasks takes 17 seconds to read, because each of its 14,000 files is parsed.
Here only the lines that name tasks are read, and only files that are asked for are parsed, by
lm-eval itself.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from aligntune.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from aligntune_eval.harness.names import Listed

__all__ = ["VERSION", "installed_version", "load_tasks", "quiet", "task_folder", "task_keys"]

VERSION = "0.4.13"
"""The version that this code is for; another one may keep its files and functions elsewhere."""

_INSTALL = 'pip install "aligntune-eval[lm-eval]"'
_logger = logging.getLogger("aligntune.eval")
# Said of every run here, where a model that is loaded is what is wanted, or of nothing wrong.
_NOISE = (
    "`pretrained` model kwarg is not of type `str`",
    "Passed an already-initialized model",
    "Overwriting default num_fewshot",
    "is defined, but aggregation is not",
    "is defined, but higher_is_better is not",
    "No `generation_kwargs` specified",
    "No `until` specified",
    "overrides existing task",
)


def installed_version() -> str:
    """The version of lm-eval.

    Raises:
        UnavailableError: if it is not installed, in another version, or without what it needs for
            models of transformers.
    """
    try:
        version = importlib.metadata.version("lm-eval")
    except importlib.metadata.PackageNotFoundError:
        raise UnavailableError(
            f"tasks of lm-eval need lm-eval, which is not installed: {_INSTALL}"
        ) from None
    if version != VERSION:
        raise UnavailableError(
            f"tasks of lm-eval are tested with lm-eval {VERSION}, and {version} is installed: "
            f"{_INSTALL}"
        )
    for name in ("accelerate", "peft"):
        if importlib.util.find_spec(name) is None:
            raise UnavailableError(
                f"tasks of lm-eval need {name}, which is not installed: {_INSTALL}"
            )
    return version


def task_folder() -> Path:
    """Where lm-eval keeps its own tasks."""
    from pathlib import Path

    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "tasks"


def task_keys() -> tuple[frozenset[str], frozenset[str]]:
    """The keys that a task's and a group's YAML file may have."""
    from dataclasses import fields

    from lm_eval.config.group import GroupConfig
    from lm_eval.config.task import TaskConfig

    task = {field.name for field in fields(TaskConfig)} | {"include", "task_list", "class"}
    # A group's further keys are put over those of its tasks.
    return frozenset(task), frozenset(task | {field.name for field in fields(GroupConfig)})


def load_tasks(wanted: list[str], listed: Mapping[str, Listed]) -> dict[str, Any]:
    """Let lm-eval make tasks: `{"tasks": {name: Task}, "groups": {name: Group}, ...}`.

    Args:
        wanted: names of tasks, groups and tags.
        listed: these and everything that they name.
    """
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._index import Entry, Kind

    manager = TaskManager(include_defaults=False)
    for name, each in listed.items():
        manager.task_index[name] = Entry(name, Kind[each.kind], each.path, tags=set(each.members))
    loaded: dict[str, Any] = manager.load(list(wanted))
    return loaded


@contextmanager
def quiet() -> Iterator[None]:
    """Keep lm-eval's prints and bars away, and pass on what it warns of, each thing once."""
    import lm_eval.api.task as of_tasks

    logger, collected = logging.getLogger("lm_eval"), _Collected()
    before, bar = logger.propagate, of_tasks.tqdm
    logger.addHandler(collected)
    logger.propagate = False
    of_tasks.tqdm = lambda rows, **_: rows
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        of_tasks.tqdm = bar
        logger.propagate = before
        logger.removeHandler(collected)
        for message in collected.messages:
            _logger.warning("lm-eval: %s", message)


class _Collected(logging.Handler):
    """Warnings in the order of their first appearance."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        message = " ".join(record.getMessage().split())
        if not any(noise in message for noise in _NOISE):
            self.messages[message] = None
