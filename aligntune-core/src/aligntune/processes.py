"""A process that answers one request at a time and is killed when it takes too long.

Threads and signals cannot stop code that holds the interpreter's lock; a process can always be
killed. The program speaks JSON, one line per message, on its standard input and output, and says
`{"ready": true}` first. It is started when first needed, started again after a kill or a crash, and
ends when the `Worker` is closed, garbage-collected, or the interpreter exits.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import weakref
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Worker", "WorkerCrashError", "WorkerStartError", "WorkerTimeoutError"]

_START_SECONDS = 120.0


class WorkerTimeoutError(Exception):
    """No answer came in time; the process was killed."""


class WorkerCrashError(Exception):
    """The process ended while it worked on a request."""


class WorkerStartError(RuntimeError):
    """The process cannot be started, or ends before it is ready."""


class Worker:
    """A killable process running a Python program of its own.

    `program`: the file to run, by its path; it can import installed packages.
    Any thread may call; calls are answered one after the other. After a fork, the child process
    gets a worker of its own. Pickling carries the program along, not the process.
    """

    def __init__(self, program: Path) -> None:
        self.program = program
        self.starts = 0
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def call(self, request: object, timeout: float) -> Any:
        """Send a request and return the answer; `timeout` in seconds, from when it is sent.

        Raises:
            WorkerTimeoutError: if there is no answer in time. The process is killed.
            WorkerCrashError: if the process ends before it answers.
            WorkerStartError: if it cannot be started.
        """
        with self._lock:
            process = self._running()
            try:
                return process.ask(request, timeout)
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

    @property
    def pid(self) -> int | None:
        """The process id, or None while there is no process."""
        return None if self._process is None else self._process.pid

    def _running(self) -> _Process:
        process = self._process
        if process is None or process.owner != os.getpid() or process.ended():
            if process is not None:
                process.stop()
            self._process = process = _Process(self.program)
            self.starts += 1
        return process

    def __getstate__(self) -> dict[str, Any]:
        return {"program": self.program}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["program"])  # type: ignore[misc]


class _Process:
    """One run of the program: its pipes, the thread that reads from it, and its end."""

    def __init__(self, program: Path) -> None:
        self.owner = os.getpid()
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        try:
            self._popen = subprocess.Popen(
                [sys.executable, str(program)],
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

    def ask(self, request: object, timeout: float) -> Any:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(json.dumps(request) + "\n")
            self._popen.stdin.flush()
        except OSError as error:
            raise WorkerCrashError(f"it ended with status {self._popen.wait()}") from error
        return self._next(timeout)

    def _next(self, timeout: float) -> Any:
        try:
            line = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise WorkerTimeoutError(f"no answer in {timeout:g} seconds") from None
        if not line:
            raise WorkerCrashError(f"it ended with status {self._popen.wait()}")
        return json.loads(line)


def _read(pipe: IO[str], answers: queue.SimpleQueue[str]) -> None:
    """Pass on each line, and an empty one at the end."""
    with contextlib.suppress(ValueError):  # the pipe was closed while it was read
        for line in pipe:
            answers.put(line)
    answers.put("")


def _end(process: subprocess.Popen[str], owner: int) -> None:
    """Kill the process, collect its status so that no zombie stays, and close its pipes."""
    if os.getpid() != owner:  # a forked child must leave its parent's worker alone
        return
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was still to be written has no reader now
                pipe.close()
