"""One server as seen from outside: its start, a job at a time, and its end."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import weakref
from typing import Any

from aligntune_rewards.sandbox import interpreter, launch
from aligntune_rewards.sandbox.errors import SandboxError
from aligntune_rewards.sandbox.inside import processes
from aligntune_rewards.sandbox.limits import Limits
from aligntune_rewards.sandbox.running import Ended, Running
from aligntune_rewards.sandbox.starter import start

__all__ = ["Server"]

_START_SECONDS = 30.0
_END_SECONDS = 2.0
_CHUNK = 1 << 16


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
            self._popen = start(line, environment, theirs)
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
            job = Running(self._control, limits)
            stack.callback(job.close)
            return job.run(request, [payload, stdin, *([] if tests is None else [tests])])


@contextlib.contextmanager
def _folder(user: int | None) -> Any:
    """A folder of the host for one job, where there is no file system of its own."""
    # A user that is the job's alone cannot enter what is root's alone, as TMPDIR may be.
    path = tempfile.mkdtemp(prefix="aligntune-sandbox-", dir=None if user is None else launch.TMP)
    if user is not None:
        os.chown(path, user, user)
    try:
        yield path
    finally:
        processes.remove(path)


def _end(popen: subprocess.Popen[bytes], control: socket.socket, owner: int) -> None:
    """End the server with all that runs in it, and collect its status."""
    if os.getpid() != owner:  # a forked child must leave its parent's server alone
        control.close()
        return
    with contextlib.suppress(OSError):  # the other end may have gone
        control.shutdown(socket.SHUT_RDWR)  # a thread may still wait for its answer
    control.close()
    # It sweeps up and ends when the socket closes. Killed, bubblewrap would leave its inner half to
    # whatever adopts orphans here, which in a container may not care for zombies.
    with contextlib.suppress(subprocess.TimeoutExpired):
        popen.wait(_END_SECONDS)
    popen.kill()
    popen.wait()
