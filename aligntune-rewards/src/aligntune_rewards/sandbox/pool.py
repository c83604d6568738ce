"""The servers of one sandbox, shared between threads."""

from __future__ import annotations

import contextlib
import os
import queue

from aligntune_rewards.sandbox.launch import Tier
from aligntune_rewards.sandbox.limits import Limits
from aligntune_rewards.sandbox.process import Server
from aligntune_rewards.sandbox.running import Ended, ServerHungError, ServerLostError
from aligntune_rewards.sandbox.tiers import probe

__all__ = ["Pool"]


class Pool:
    """At most so many servers, each used by one thread at a time."""

    def __init__(self, tier: Tier, size: int) -> None:
        self.tier = tier
        self.nested = tier == "bwrap" and probe(tier).warm
        self.size = size
        # By process: one that was forked from here starts with empty places of its own.
        self._places: dict[int, queue.LifoQueue[Server | None]] = {}

    def run(
        self, payload: bytes, stdin: bytes, limits: Limits, *, keep: bool, tests: bytes | None
    ) -> Ended:
        places = self._own()
        server = places.get()
        try:
            for _ in range(2):
                if server is None or not server.usable():
                    server = self._replace(server, limits)
                try:
                    return server.run(payload, stdin, limits, tests)
                except ServerHungError:
                    server.stop()
                    return Ended("timeout", None, limits.seconds, [b"", b"", b""])
                except ServerLostError:  # it may have ended before this job
                    if not server.stop.alive:  # somebody has closed the sandbox
                        break
                    server.stop()
            return Ended("", None, limits.seconds, [b"", b"", b""])
        except BaseException:
            # Also when the caller is interrupted: the answer must not be taken for the next job's.
            if server is not None:
                server.stop()
            raise
        finally:
            if server is not None and not (keep and server.usable()):
                server.stop()
                server = None
            places.put(server)

    def _own(self) -> queue.LifoQueue[Server | None]:
        found = self._places.get(os.getpid())
        if found is None:
            made: queue.LifoQueue[Server | None] = queue.LifoQueue()
            for _ in range(self.size):
                made.put(None)
            found = self._places.setdefault(os.getpid(), made)
        return found

    def _replace(self, server: Server | None, limits: Limits) -> Server:
        if server is not None:
            server.stop()
        return Server(self.tier, nested=self.nested, disk_mb=limits.disk_mb)

    def close(self) -> None:
        """End the servers; one that is at work ends when its job does."""
        places = self._places.pop(os.getpid(), None)
        if places is None:
            return
        taken = 0
        with contextlib.suppress(queue.Empty):
            while True:
                server = places.get_nowait()
                taken += 1
                if server is not None:
                    server.stop()
        for _ in range(taken):  # for threads that wait already
            places.put(None)
