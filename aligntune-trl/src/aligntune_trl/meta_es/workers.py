"""Candidates in processes of their own, several at once.

A worker loads the libraries once and runs one candidate after the other. It is started afresh, not
forked, because a process that has used torch or a GPU cannot be forked. Where it dies, the
candidate that it ran has failed, and another takes its place.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from aligntune.config import RunConfig, UnifiedConfig
from aligntune.config.assemble import Setting
from aligntune.errors import ConfigError, Problem
from aligntune_trl.meta_es.candidates import Candidate, run_candidate
from aligntune_trl.meta_es.evolution import Outcome

__all__ = ["Workers", "refuse_what_cannot_be_sent"]

Result = tuple[Candidate, Outcome, float]
_PATIENCE = 10  # seconds that a process has to end by itself


def refuse_what_cannot_be_sent(config: RunConfig) -> None:
    """Refuse rewards and data that another process cannot be given.

    Raises:
        ConfigError: names the settings.
    """
    problems = []
    for setting in config.settings():
        try:
            pickle.dumps(setting.value)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            message = f"{config.meta_es.num_workers} workers cannot be sent it: {error}"
            hint = "name what can be imported (`package.module:name`), or use 1 worker"
            problems.append(Problem(setting.path, message, setting.origin, hint))
    if problems:
        raise ConfigError(problems)


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    candidate: Candidate | None = None


class Workers:
    """Processes that run candidates.

    Args:
        config: of the whole run, from which a worker makes its own plan.
        count: how many at once.
    """

    def __init__(self, config: RunConfig, count: int) -> None:
        self.settings = config.settings()
        self.count = count
        self._all: list[_Worker] = []

    def run(self, candidates: Sequence[Candidate]) -> Iterator[Result]:
        """Run candidates; yield each as it ends, in whatever order."""
        todo = list(candidates)
        while todo or any(worker.candidate for worker in self._all):
            while len(self._all) < min(self.count, len(candidates)):
                self._all.append(self._start())
            for worker in self._all:
                if worker.candidate is None and todo:
                    worker.candidate = todo.pop(0)
                    with contextlib.suppress(BrokenPipeError):  # it died; its end is read below
                        worker.pipe.send(worker.candidate)
            busy = {worker.pipe: worker for worker in self._all if worker.candidate}
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                yield self._ended(busy[pipe])

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        level = logging.getLogger("aligntune").level
        process = context.Process(target=_work, args=(theirs, self.settings, level), daemon=True)
        process.start()
        theirs.close()  # so that ours tells when the process ends
        return _Worker(process, ours)

    def _ended(self, worker: _Worker) -> Result:
        candidate, worker.candidate = worker.candidate, None
        assert candidate is not None
        try:
            outcome, seconds = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            self._all.remove(worker)
            said = f"its process ended with exit code {worker.process.exitcode}"
            return candidate, Outcome(None, said), 0.0
        return candidate, outcome, seconds

    def close(self) -> None:
        """End all processes: those that are idle by themselves, and others amid what they do."""
        for worker in self._all:
            worker.pipe.close()
            if worker.candidate is not None:
                worker.process.terminate()
        for worker in self._all:
            worker.process.join(_PATIENCE)
            worker.process.terminate()
            worker.process.join()
        self._all.clear()


class _Outer:
    """What a run inside needs of the trainer around it."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        from aligntune.hardware import Hardware
        from aligntune.plan import make_plan

        self.plan = make_plan(UnifiedConfig.of(settings), hardware=Hardware.detect())
        self.backend: Any = self.plan.backend.load()()
        self.backend.prepare(self.plan)


def _work(pipe: Connection, settings: Sequence[Setting], level: int) -> None:
    """What a worker does: it runs what it is sent, until there is nobody to send."""
    logging.getLogger("aligntune").setLevel(level)
    outer = _Outer(settings)
    while True:
        try:
            candidate = pipe.recv()
        except EOFError:
            return
        pipe.send(run_candidate(candidate, outer))
