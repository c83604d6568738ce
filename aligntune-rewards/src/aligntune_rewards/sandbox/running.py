"""One job as seen from outside: its pipes, and what arrives on them.

What the server answers comes from the kernel; what arrives on the pipes comes from the program, and
is only ever taken as text.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from aligntune_rewards.sandbox.inside import packets
from aligntune_rewards.sandbox.limits import Limits

__all__ = ["Ended", "Running", "ServerHungError", "ServerLostError"]

_GRACE_SECONDS = 3.0
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


class Running:
    """The pipes of one job; used once, then closed."""

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
            try:
                packets.send(self.control, request, [*given[:2], *self.writing, *given[2:]])
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
