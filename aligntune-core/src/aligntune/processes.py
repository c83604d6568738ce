"""Processes that answer requests, one at a time each, and are killed when they take too long.

Threads and signals cannot stop code that holds the interpreter's lock; a process can always be
killed. The program speaks JSON, one line per message, on its standard input and output, and says
`{"ready": true}` first. It is started when first needed, started again after a kill or a crash, and
ends when the `Worker` is closed, garbage-collected, or the interpreter exits; whatever it started
itself ends with it. `Workers` are several of them behind one `call`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "Worker",
    "WorkerCrashError",
    "WorkerStartError",
    "WorkerTimeoutError",
    "Workers",
    "cores",
]

_START_SECONDS = 120.0
_END_SECONDS = 5.0


class WorkerTimeoutError(Exception):
    """No answer came in time; the process was killed."""


class WorkerCrashError(Exception):
    """The process ended while it worked on a request."""


class WorkerStartError(RuntimeError):
    """The process cannot be started, or ends before it is ready."""


def cores() -> int:
    """How many processors this process may use, at least 1."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


class Worker:
    """A killable process running a Python program of its own.

    `program`: the file to run, by its path; it can import installed packages. `first`: a request
    that each process is sent before any other, and must answer without an `"error"`.
    Any thread may call; calls are answered one after the other. After a fork, the child process
    gets a worker of its own. Pickling carries the program along, not the process.
    """

    def __init__(self, program: Path, first: object = None) -> None:
        self.program = program
        self.first = first
        self.starts = 0
        self.kills = 0
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def call(
        self,
        request: object,
        timeout: float,
        slow: Callable[[], None] | None = None,
        grace: float = 0.0,
        kills: int | None = None,
    ) -> Any:
        """Send a request and return the answer; `timeout` in seconds, from when it is sent.

        `slow` is called once, if there is no answer within `grace` seconds. `kills`: how often the
        worker had been killed when the caller looked last; by default, up to now.

        Raises:
            WorkerTimeoutError: if there is no answer in time. The process is killed.
            WorkerCrashError: if the process ends before it answers.
            WorkerStartError: if it cannot be started.
        """
        with self._lock:
            kills = self.kills if kills is None else kills
            process = self._running()
            try:
                if kills != self.kills:  # while the process was started
                    raise WorkerCrashError("it was killed before it began")
                return process.ask(request, timeout, slow, grace)
            except BaseException:
                # Also when the caller is interrupted: the answer, should one still come, must not
                # be taken for that to the next request.
                process.stop()
                self._process = None
                raise

    def close(self) -> None:
        """End the process, if there is one; a later call starts another."""
        with self._lock:
            if self._process is not None:
                self._process.stop()
                self._process = None

    def kill(self) -> None:
        """End the process at once, amid a call too: that raises a `WorkerCrashError`."""
        self.kills += 1
        process = self._process
        if process is not None:
            process.stop()

    @property
    def pid(self) -> int | None:
        """The process id, or None while there is no process."""
        return None if self._process is None else self._process.pid

    def _running(self) -> _Process:
        process = self._process
        if process is None or process.owner != os.getpid() or process.ended():
            if process is not None:
                process.stop()
            self._process = process = _Process(self.program, self.first)
            self.starts += 1
        return process

    def __getstate__(self) -> dict[str, Any]:
        return {"program": self.program, "first": self.first}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class Workers:
    """Several workers of one program, for callers on several threads.

    As many calls are worked on at once as there are cores. A call without an answer after `grace`
    seconds gives its place to another, so that calls that hang do not hold up the others; there are
    never more than `most` processes.

    `program` and `first` are as for `Worker`. `count`: calls at once, by default one per core.
    Pickling carries program and count along, not the processes.
    """

    def __init__(
        self, program: Path, first: object = None, count: int | None = None, grace: float = 0.25
    ) -> None:
        self.program, self.first, self.grace = program, first, grace
        self.count = cores() if count is None else count
        self.most = 4 * self.count
        self._begin()

    def _begin(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._places = threading.Semaphore(self.count)
        self._processes = threading.Semaphore(self.most)
        self._idle: list[Worker] = []
        self._kills = 0
        self.workers: weakref.WeakSet[Worker] = weakref.WeakSet()

    def call(self, request: object, timeout: float) -> Any:
        """Send a request to a worker that is free; `timeout` in seconds, from when it is sent.

        Raises:
            WorkerTimeoutError: if there is no answer in time. The process is killed.
            WorkerCrashError: if the process ends before it answers.
            WorkerStartError: if it cannot be started.
        """
        if self._owner != os.getpid():  # a forked child has processes of its own
            self._begin()
        kills = self._kills
        with self._processes:
            self._places.acquire()
            leave = _Once(self._places.release)
            worker = self._take()
            seen = worker.kills
            try:
                if kills != self._kills:
                    raise WorkerCrashError("it was killed before it began")
                return worker.call(request, timeout, leave, self.grace, seen)
            finally:
                leave()
                self._give_back(worker)

    def close(self) -> None:
        """End all processes; a later call starts others."""
        for worker in self._all():
            worker.close()

    def kill(self) -> None:
        """End all processes at once; calls that go on or wait raise a `WorkerCrashError`."""
        self._kills += 1
        for worker in self._all():
            worker.kill()

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run."""
        return [pid for worker in self._all() if (pid := worker.pid) is not None]

    @property
    def starts(self) -> int:
        """How many processes were started by the workers there are."""
        return sum(worker.starts for worker in self._all())

    def _all(self) -> list[Worker]:
        with self._lock:
            return list(self.workers)

    def _take(self) -> Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            worker = Worker(self.program, self.first)
            self.workers.add(worker)
            return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            if len(self._idle) < self.count:
                self._idle.append(worker)
                return
        worker.close()

    def __getstate__(self) -> dict[str, Any]:
        names = ("program", "first", "count", "grace")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class _Once:
    """A function that is called the first time, and not again."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._functions = [function]

    def __call__(self) -> None:
        if self._functions:  # one thread alone calls it
            self._functions.pop()()


class _Process:
    """One run of the program: its pipes, the thread that reads from it, and its end."""

    def __init__(self, program: Path, first: object) -> None:
        self.owner = os.getpid()
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", str(program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerStartError(f"{sys.executable} cannot be started: {error}") from error
        self.stop = weakref.finalize(self, _end, self._popen, self.owner)
        assert self._popen.stdout is not None
        threading.Thread(
            target=_read, args=(self._popen.stdout, self._answers), daemon=True
        ).start()
        try:
            ready = self._next(_START_SECONDS)
            if first is not None and "error" not in ready:
                ready = self.ask(first, _START_SECONDS)
        except (WorkerTimeoutError, WorkerCrashError) as error:
            self.stop()
            raise WorkerStartError(f"{program.name} did not become ready: {error}") from error
        if "error" in ready:
            self.stop()
            raise WorkerStartError(f"{program.name} cannot work: {ready['error']}")

    @property
    def pid(self) -> int:
        return self._popen.pid

    def ended(self) -> bool:
        return self._popen.poll() is not None

    def ask(
        self,
        request: object,
        timeout: float,
        slow: Callable[[], None] | None = None,
        grace: float = 0.0,
    ) -> Any:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(json.dumps(request) + "\n")
            self._popen.stdin.flush()
        except OSError as error:
            raise self._crash() from error
        if slow is None or grace >= timeout:
            return self._next(timeout)
        with contextlib.suppress(queue.Empty):
            return self._parsed(self._answers.get(timeout=grace))
        slow()
        return self._next(timeout - grace, of=timeout)

    def _next(self, timeout: float, of: float | None = None) -> Any:
        try:
            line = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise WorkerTimeoutError(f"no answer in {of or timeout:g} seconds") from None
        return self._parsed(line)

    def _parsed(self, line: str) -> Any:
        if not line:
            raise self._crash()
        return json.loads(line)

    def _crash(self) -> WorkerCrashError:
        """What to raise once a pipe has ended; the process itself may go on without it."""
        try:
            return WorkerCrashError(f"it ended with status {self._popen.wait(_END_SECONDS)}")
        except subprocess.TimeoutExpired:
            return WorkerCrashError("it closed its pipes")


def _read(pipe: IO[str], answers: queue.SimpleQueue[str]) -> None:
    """Pass on each line, and an empty one at the end; nobody else closes the pipe."""
    with contextlib.suppress(ValueError), pipe:  # something that is no text
        for line in pipe:
            answers.put(line)
    answers.put("")


def _end(process: subprocess.Popen[str], owner: int) -> None:
    """Kill the process, collect its status so that no zombie stays, and close its input.

    Its output may stay open in what it started in another session; the thread that reads closes it.
    """
    if os.getpid() != owner:  # a forked child must leave its parent's worker alone
        return
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        if sys.platform == "win32":
            process.kill()
        else:  # it leads a group of its own, with whatever it started
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # what was still to be written has no reader now
        process.stdin.close()
