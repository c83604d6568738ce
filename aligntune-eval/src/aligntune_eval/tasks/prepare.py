"""From a task to rows with prompts and evaluators that are checked: all that needs no model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from aligntune.evaluation import EvalTask, EvaluationSettings, Prepared, prepare
from aligntune_eval.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.evaluation import Evaluation, Store
    from aligntune.evaluation.columns import Rows
    from aligntune.evaluation.protocol import Progress
    from aligntune.plugins import Plugins
    from aligntune_eval.tasks.find import Task

__all__ = ["PreparedTask", "Runnable", "prepare_task"]


class Runnable(Protocol):
    """What a runner runs: one task, whoever measures it.

    `task`: its description. `rows`: the rows that are measured, of `available`. `settings`: how.
    `fingerprint`: changes when anything does that the results could depend on, but for the model.
    """

    @property
    def task(self) -> EvalTask: ...
    @property
    def rows(self) -> Rows: ...
    @property
    def available(self) -> int: ...
    @property
    def settings(self) -> EvaluationSettings: ...
    @property
    def fingerprint(self) -> str: ...

    def run(
        self,
        model: Any,
        tokenizer: Any,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Evaluation:
        """Measure a model."""


@dataclass(frozen=True)
class PreparedTask:
    """A task whose rows are read and whose evaluators are checked."""

    task: EvalTask
    prepared: Prepared
    available: int
    fingerprint: str

    @property
    def rows(self) -> Rows:
        """The rows that are measured, with their prompts."""
        return self.prepared.rows

    @property
    def settings(self) -> EvaluationSettings:
        """How they are completed."""
        return self.prepared.settings

    def run(
        self,
        model: Any,
        tokenizer: Any,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Evaluation:
        """Measure a model; see `aligntune.evaluation.Prepared.run`."""
        return self.prepared.run(model, tokenizer, progress, store)


def prepare_task(
    task: Task,
    plugins: Plugins,
    *,
    batch_size: int = 16,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> Runnable:
    """Read the rows of a task, make their prompts, and check what its metrics need.

    Args:
        task: one that `find_tasks` found, or an `EvalTask` made on the spot.
        plugins: where metrics are looked up.
        batch_size: rows at once.
        changes: fields of `EvalTask` that are set otherwise than the task says.

    Raises:
        AlignTuneError: for whatever would fail later, but for what only the model shows.
    """
    assert isinstance(task, EvalTask)
    task = replace(task, **changes)
    rows: Rows = task.dataset if not isinstance(task.dataset, str) else read_rows(task.dataset)
    settings = EvaluationSettings(
        batch_size=batch_size,
        max_new_tokens=task.max_new_tokens,
        temperature=task.temperature,
        top_p=task.top_p,
        top_k=task.top_k,
        num_samples=task.num_samples,
        stop=tuple(task.stop),
        seed=task.seed,
        max_samples=task.max_samples,
    )
    prepared = prepare(rows, tuple(task.metrics), settings, plugins)
    return PreparedTask(task, prepared, len(rows), "")
