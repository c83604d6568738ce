"""One model on all its tasks: what is finished is read back, what was begun goes on.

The model is loaded when the first task needs it, and freed at the end. Files are written once all
tasks are done; until then each finished task waits in its own store.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from aligntune.redact import redact
from aligntune_eval.files.results import TaskOutcome, folder_of, safe_task, write_results
from aligntune_eval.models.load import LoadedModel, load_model
from aligntune_eval.runner.finished import Finished, evaluation_from, evaluation_to, find_finished
from aligntune_eval.runner.store import FileStore
from aligntune_eval.runner.task_result import TaskResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aligntune.evaluation import Evaluation
    from aligntune_eval.models.load import Precision
    from aligntune_eval.models.sources import ModelSource
    from aligntune_eval.tasks import Runnable

__all__ = ["How", "RunProgress", "run_model"]

logger = logging.getLogger("aligntune.eval")

RunProgress = Callable[[str, str, str, int, int], None]
"""Called with model, task, what is being done, how much of it is done, and how much there is."""

_DONE = "evaluation"  # key of the store under which a finished task waits for its files


@dataclass(frozen=True)
class How:
    """How all models of one evaluation are run; `binding` is what their numbers share."""

    folder: Path | None
    overwrite: bool
    precision: Precision
    device: str
    trust_remote_code: bool
    binding: Mapping[str, str]
    progress: RunProgress


def run_model(source: ModelSource, tasks: Sequence[Runnable], how: How) -> list[TaskResult]:
    """Measure one model on its tasks, in their order.

    Raises:
        AlignTuneError: if it cannot be loaded, or cannot do a task.
    """
    model = _Model(source, how)
    with ExitStack() as stack:
        try:
            work = [_Work(task, source, how, stack) for task in tasks]
            done = [each.do(model) for each in work]
        finally:
            model.free()
        new = [
            (place, each.outcome(result))
            for place, (each, result) in enumerate(zip(work, done, strict=True))
            if result.state != "read" or not each.is_latest
        ]
        if how.folder is None or not new:
            return done
        files = write_results(
            [outcome for _, outcome in new],
            how.folder,
            model=source.name,
            base=source.base,
            device=how.device,
        )
        for each in work:
            each.remove_store()
    for (place, _), written in zip(new, files, strict=True):
        done[place] = replace(done[place], files=written)
    return done


class _Model:
    """A model that is loaded when it is first asked for."""

    def __init__(self, source: ModelSource, how: How) -> None:
        self._source = source
        self._how = how
        self._loaded = source.loaded

    def get(self) -> LoadedModel:
        if self._loaded is None:
            how = self._how
            how.progress(self._source.name, "", "loading", 0, 0)
            self._loaded = load_model(
                self._source.place,
                precision=how.precision,
                device=how.device,
                trust_remote_code=how.trust_remote_code,
            )
        return self._loaded

    def free(self) -> None:
        """Let go of the weights, so that the next model finds the memory free."""
        if self._loaded is None or self._loaded is self._source.loaded:
            return
        self._loaded = None
        gc.collect()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class _Work:
    """One task of one model: its store, and what was finished before."""

    def __init__(self, task: Runnable, source: ModelSource, how: How, stack: ExitStack) -> None:
        self.task = task
        self.name = task.task.name
        self._source = source
        self._how = how
        self._store: FileStore | None = None
        self._finished = Finished()
        self._binding = redact({**source.parts, **_of_task(task), **how.binding})
        if how.folder is None or not source.parts:
            return
        folder = folder_of(how.folder, source.name)
        if not how.overwrite:
            self._finished = find_finished(folder, self.name, self._binding)
            self._say_what_is_there()
        if self._finished.evaluation is None:
            path = folder / f"partial_{safe_task(self.name)}.jsonl"
            self._store = stack.enter_context(
                FileStore(path, self._binding, overwrite=how.overwrite)
            )
            if self._store.begun_anew:
                self._say("begun anew: what was half done does not count", self._store.begun_anew)

    @property
    def is_latest(self) -> bool:
        """Whether whoever reads the folder finds what is finished, and not a later evaluation."""
        return self._finished.latest

    def do(self, model: _Model) -> TaskResult:
        """Measure the task, or give back what is there."""
        if self._finished.evaluation is not None:
            return self._result(self._finished.evaluation, "read", 0, 0.0)
        begin = time.perf_counter()
        kept = None if self._store is None else self._store.get(_DONE)
        if kept is not None:
            return self._result(evaluation_from(kept), "resumed", len(self.task.rows), 0.0)
        if self._store is not None and len(self._store):
            self._say("goes on", f"{len(self._store)} values are there already")
        loaded = model.get()
        report = self._how.progress
        evaluation = self.task.run(
            loaded.model,
            loaded.tokenizer,
            lambda what, done, total: report(self._source.name, self.name, what, done, total),
            self._store,
        )
        reused = 0
        if self._store is not None:
            self._store.put({_DONE: evaluation_to(evaluation)})
            reused = self._store.reused
        state: Literal["measured", "resumed"] = "resumed" if reused else "measured"
        return self._result(evaluation, state, reused, time.perf_counter() - begin)

    def outcome(self, result: TaskResult) -> TaskOutcome:
        """What is written of a result."""
        return TaskOutcome(
            self.task.task,
            result.evaluation,
            result.rows,
            result.available,
            result.settings,
            self._binding if self._source.parts else {},
        )

    def remove_store(self) -> None:
        """Take the partial file away: what it held is in the results."""
        if self._store is not None:
            self._store.remove()

    def _result(
        self,
        evaluation: Evaluation,
        state: Literal["measured", "resumed", "read"],
        resumed: int,
        seconds: float,
    ) -> TaskResult:
        return TaskResult(
            self._source.name,
            self.name,
            evaluation,
            self._finished.files,
            self.task.rows,
            self.task.available,
            self.task.settings,
            state,
            resumed,
            seconds,
        )

    def _say_what_is_there(self) -> None:
        if self._finished.files is not None:
            self._say("not measured again", f"finished in {self._finished.files.results}")
        elif self._finished.changed:
            self._say("measured again", f"changed since: {', '.join(self._finished.changed)}")

    def _say(self, what: str, why: str) -> None:
        logger.info("%s on %s: %s (%s)", self._source.name, self.name, what, why)


def _of_task(task: Runnable) -> dict[str, str]:
    """What the numbers rest on but the model; each setting by itself, so that messages name it."""
    named = {name: repr(value) for name, value in asdict(task.settings).items()}
    del named["batch_size"]  # no result depends on it
    return {"task": f"{task.fingerprint} of {len(task.rows)} rows", **named}
