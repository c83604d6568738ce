"""The trusted parent of the jobs: starts each in walls of its own, watches it, and sweeps up.

It answers one request at a time on descriptor 0, a socket of packets: a JSON object of limits with
the descriptors of the job (program, stdin, stdout, stderr, results). It never reads a program, so
that a job, which starts as its copy, finds nothing of an earlier one in its memory.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import time
from typing import Any

from aligntune_rewards.sandbox.inside import linux, packets, processes, walls

__all__ = ["serve"]


def serve(settings: dict[str, Any]) -> None:
    """Answer requests until the other end of the socket closes."""
    control = socket.socket(fileno=0)
    while os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC) < walls.FIRST:
        pass
    os.environ.clear()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    around = walls.Nested(settings) if settings["nested"] else walls.Flat(settings)
    signal.signal(signal.SIGTERM, lambda *_: (around.abandon(), os._exit(0)))
    if settings["die"]:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)
    gc.collect()
    gc.freeze()
    control.send(b'{"ready": true}')
    while True:
        around.prepare()
        request, descriptors = packets.receive(control)
        if request is None:
            os._exit(0)
        if "stop" in request:  # of a job that has ended by now
            continue
        answer = _Job(around, request, control).run(descriptors)
        control.send(json.dumps(answer).encode())


class _Job:
    """One job from its request to the answer; when `run` returns, nothing of it is left."""

    def __init__(
        self, around: walls.Nested | walls.Flat, request: dict[str, Any], control: socket.socket
    ) -> None:
        self.around, self.request, self.control = around, request, control
        self.reason = ""
        self.base = processes.resident(os.getpid())

    def run(self, descriptors: list[int]) -> dict[str, Any]:
        try:
            child, word = self.around.start(self.request, descriptors)
        except OSError as error:
            return {"exit_code": None, "reason": f"cannot start a job: {error}"}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        status = self._watch(child)
        self.around.sweep()
        if self.reason == "gone":
            self.around.abandon()
        os.set_blocking(word, False)
        with contextlib.suppress(BlockingIOError):
            status = self._said(os.read(word, 1000), status)
        os.close(word)
        return {
            "exit_code": None if self.reason else os.waitstatus_to_exitcode(status),
            "reason": self.reason,
        }

    def _said(self, text: bytes, status: int) -> int:
        """The job's status, from the first process of its namespaces; it has the kernel's word."""
        if self.reason or (self.around.apart and not text):
            return signal.SIGKILL
        if text and not text.isdigit():
            self.reason = f"cannot build the walls: {text.decode()}"
        return int(text) if text.isdigit() else status

    def _watch(self, child: int) -> int:
        """Wait for its end, or bring it about; gives its wait status."""
        watched = os.pidfd_open(child)
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        deadline = time.monotonic() + self.request["seconds"]
        while not self.reason:
            left = deadline - time.monotonic()
            ready = dict(poll.poll(max(0.0, min(left, self.around.look_every)) * 1000))
            if watched in ready:
                break
            if self.control.fileno() in ready:
                self._heed()
            elif left <= 0:
                self.reason = "timeout"
            else:
                self._look()
        else:
            os.kill(child, signal.SIGKILL)
        os.close(watched)
        return os.waitpid(child, 0)[1]

    def _heed(self) -> None:
        """The one who asked wants the job to end, or has gone."""
        message, _ = packets.receive(self.control)
        self.reason = "gone" if message is None else str(message["stop"])

    def _look(self) -> None:
        """End a job that has grown too large."""
        if processes.memory_below(self.base) > self.request["memory"]:
            self.reason = "memory"
        elif self.around.apart:
            return
        elif processes.size_of(self.request["folder"]) > self.request["disk"]:
            self.reason = "disk"
