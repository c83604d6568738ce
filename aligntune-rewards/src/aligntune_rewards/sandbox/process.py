"""One server as seen from outside: its start, a job at a time, and its end.

Whatever the server says about a job comes from the kernel; whatever arrives on a job's own pipes
comes from the program and is only ever taken as text.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import queue
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligntune_rewards.sandbox import interpreter, launch
from aligntune_rewards.sandbox.errors import SandboxError
from aligntune_rewards.sandbox.limits import Limits

__all__ = ["Ended", "Server", "ServerHungError", "ServerLostError"]

_START_SECONDS = 30.0
_GRACE_SECONDS = 3.0
_END_SECONDS = 2.0
_CHUNK = 1 << 16


class ServerLostError(Exception):
    """The server ended while a job ran."""


class ServerHungError(Exception):
    """The server has not ended the job in time."""


@dataclass
class Ended:
    """What a job left: why it was ended (or `""`), its status, and what it wrote."""

    reason: str
    exit_code: int | None
    seconds: float
    written: list[bytes] = field(default_factory=list)


class Server:
    """A running server; use it from one thread at a time.

    Raises:
        SandboxError: if it cannot start, with what it said.
    """

    def __init__(self, tier: launch.Tier, *, nested: bool, disk_mb: int = 64) -> None:
        self.owner = os.getpid()
        self.tier = tier
        self.nested = nested
        self.jobs = 0
        self.user = launch.job_user() if tier != "bwrap" else None
        settings = {
            "nested": nested,
            "user": self.user,
            "filters": tier != "rlimits",
            "families": launch.FAMILIES if tier == "bwrap" else (),
            "readable": interpreter.readable() if tier.startswith("landlock") else None,
            "die": tier != "bwrap",
        }
        line, environment, packets = launch.command(tier, None if nested else disk_mb, settings)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        with theirs:
            self._popen = _start(line, environment, theirs)
        self.stop = weakref.finalize(self, _end, self._popen, ours, self.owner)
        assert self._popen.stderr is not None
        try:
            ours.settimeout(_START_SECONDS)
            for packet in packets:
                ours.send(packet)
            if not ours.recv(_CHUNK):
                raise SandboxError(f"{tier}: it ended before it was ready: {self._complaint()}")
        except OSError as error:
            raise SandboxError(f"{tier}: {error}: {self._complaint()}") from error
        finally:
            if sys.exc_info()[0] is not None:
                self.stop()
            self._popen.stderr.close()

    def _complaint(self) -> str:
        self._popen.kill()
        assert self._popen.stderr is not None
        said = self._popen.stderr.read().decode(errors="replace").strip()
        return said.splitlines()[-1] if said else "it said nothing"

    @property
    def pid(self) -> int:
        """The process id of the outermost process."""
        return self._popen.pid

    def usable(self) -> bool:
        """Whether it can take a job: it lives, is ours, and has walls for another."""
        alive = self.owner == os.getpid() and self.stop.alive and self._popen.poll() is None
        return alive and (self.jobs == 0 or self.nested or self.tier != "bwrap")

    def run(
        self, payload: bytes, stdin: bytes, limits: Limits, tests: bytes | None = None
    ) -> Ended:
        """Run one job to its end.

        Raises:
            ServerLostError: if the server ends before the job has.
        ServerHungError: if it has not ended the job a few seconds after its time.
        """
        self.jobs += 1
        with contextlib.ExitStack() as stack:
            request: dict[str, Any] = {
                "seconds": limits.seconds,
                "memory": limits.memory_mb << 20,
                "processes": limits.processes,
                "disk": limits.disk_mb << 20,
            }
            apart = self.tier == "bwrap"
            request["folder"] = launch.TMP if apart else stack.enter_context(_folder(self.user))
            job = _Running(self._control, limits)
            stack.callback(job.close)
            return job.run(request, [payload, stdin, *([] if tests is None else [tests])])


@contextlib.contextmanager
def _folder(user: int | None) -> Any:
    """A folder of the host for one job, where there is no file system of its own."""
    path = tempfile.mkdtemp(prefix="aligntune-sandbox-")
    if user is not None:
        os.chown(path, user, user)
    try:
        yield path
    finally:
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)  # the job may have closed its own folders
        shutil.rmtree(path)


class _Running:
    """The pipes of one job."""

    def __init__(self, control: socket.socket, limits: Limits) -> None:
        self.control, self.limits = control, limits
        pairs = [os.pipe() for _ in range(3)]
        self.reading = [read for read, _ in pairs]
        self.writing = [write for _, write in pairs]
        self.written: list[list[bytes]] = [[], [], []]
        self.room = limits.output_bytes
        self.reason = ""
        for descriptor in self.reading:
            os.set_blocking(descriptor, False)

    def close(self) -> None:
        for descriptor in (*self.reading, *self.writing):
            os.close(descriptor)

    def run(self, request: dict[str, Any], inputs: list[bytes]) -> Ended:
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            given = [stack.enter_context(_sealed(text)) for text in inputs]
            descriptors = array.array("i", [*given[:2], *self.writing, *given[2:]])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
            try:
                self.control.sendmsg([json.dumps(request).encode()], rights)
            except OSError as error:
                raise ServerLostError(str(error)) from error
        answer = self._attend(started + self.limits.seconds + _GRACE_SECONDS)
        seconds = time.monotonic() - started
        for index in range(3):
            self._drain(index)
        reason = self.reason or answer["reason"]
        return Ended(reason, answer["exit_code"], seconds, [b"".join(x) for x in self.written])

    def _attend(self, deadline: float) -> dict[str, Any]:
        poll = select.poll()
        for descriptor in (self.control.fileno(), *self.reading):
            poll.register(descriptor, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ServerHungError
            for descriptor, _ in poll.poll(left * 1000):
                if descriptor == self.control.fileno():
                    return self._answer()
                if not self._drain(self.reading.index(descriptor)):
                    poll.unregister(descriptor)

    def _answer(self) -> dict[str, Any]:
        try:
            text = self.control.recv(_CHUNK)
        except OSError as error:
            raise ServerLostError(str(error)) from error
        if not text:
            raise ServerLostError("it ended")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _drain(self, index: int) -> bool:
        """Read what there is; False at the end of the pipe, or when nothing more is wanted."""
        while True:
            try:
                text = os.read(self.reading[index], _CHUNK)
            except BlockingIOError:
                return True
            if not text:
                return False
            self.written[index].append(text[: self.room])
            self.room -= len(text)
            if self.room < 0:
                self.room = 0
                if not self.reason:
                    self.reason = "output"
                    with contextlib.suppress(OSError):  # the answer then says that it has gone
                        self.control.send(b'{"stop": "output"}')
                return False


@contextlib.contextmanager
def _sealed(content: bytes) -> Any:
    """A file in memory that nobody can change any more."""
    import fcntl

    descriptor = os.memfd_create("job", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, 0xF)
        yield descriptor
    finally:
        os.close(descriptor)


def _end(popen: subprocess.Popen[bytes], control: socket.socket, owner: int) -> None:
    """End the server with all that runs in it, and collect its status."""
    control.close()
    if os.getpid() != owner:  # a forked child must leave its parent's server alone
        return
    # It sweeps up and ends when the socket closes. Killed, bubblewrap would leave its inner half to
    # whatever adopts orphans here, which in a container may not care for zombies.
    with contextlib.suppress(subprocess.TimeoutExpired):
        popen.wait(_END_SECONDS)
    popen.kill()
    popen.wait()


class _Starter(threading.Thread):
    """Starts every server of this process: bubblewrap ends when the thread that started it does."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="aligntune-sandbox-starter")
        self.asked: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            line, environment, control, answer = self.asked.get()
            try:
                answer.put(
                    subprocess.Popen(
                        line,
                        env=environment,
                        stdin=control,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        cwd="/",
                        start_new_session=True,
                    )
                )
            except OSError as error:
                answer.put(error)
            del line, environment, control, answer


_starters: dict[int, _Starter] = {}  # one for each process, should this one fork


def _start(
    line: list[str], environment: dict[str, str], control: socket.socket
) -> subprocess.Popen[bytes]:
    made = _Starter()
    starter = _starters.setdefault(os.getpid(), made)
    if starter is made:
        starter.start()
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
    starter.asked.put((line, environment, control, answer))
    started = answer.get()
    if isinstance(started, OSError):
        raise SandboxError(f"{line[0]} cannot be started: {started}") from started
    assert isinstance(started, subprocess.Popen)
    return started
