"""Run code that nobody trusts, and get back what it wrote or plain values, never more."""

from __future__ import annotations

import json
import os
import queue
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Self

from aligntune_rewards.sandbox.errors import SandboxError, WeakIsolationError
from aligntune_rewards.sandbox.launch import Tier
from aligntune_rewards.sandbox.limits import Limits
from aligntune_rewards.sandbox.process import Ended, Server, ServerLostError
from aligntune_rewards.sandbox.results import Calls, Outcome, Result, Returned
from aligntune_rewards.sandbox.tiers import TIERS, find, probe
from aligntune_rewards.sandbox.values import NotPlainError, decode, encode

__all__ = ["Call", "Sandbox"]

_ERROR_LENGTH = 600


@dataclass(frozen=True)
class Call:
    """A function that the program defines, and plain values to call it with.

    `function` is an expression in the program's namespace, such as `"add"` or `"Solution().add"`.
    """

    function: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class Sandbox:
    """A bounded pool of places where untrusted Python runs; any thread may use it.

    Processes start when they are first needed, and end when the sandbox is closed or collected, or
    the interpreter exits. A pickled sandbox carries its settings, and a forked process gets
    processes of its own.

    Args:
        limits: What one job may use.
        workers: How many jobs run at once; more wait. As many as there are cores by default.
        warm: Keep a server that starts each job as its fork (milliseconds), in namespaces of its
            own. `False` starts everything anew for each job.
        allow_weak_isolation: Go on where bubblewrap does not work; see `tier` for what is left.
        tier: Use this tier and no other, instead of the best that works.

    Raises:
        SandboxError: if there is no Linux, or the tier does not work here.
        WeakIsolationError: if there is less than bubblewrap, and `allow_weak_isolation` is not set.
        ValueError: if `workers` or `tier` makes no sense.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        workers: int | None = None,
        warm: bool = True,
        allow_weak_isolation: bool = False,
        tier: Tier | None = None,
    ) -> None:
        if workers is None:
            workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers!r}")
        self.limits = limits if limits is not None else Limits()
        self.workers = workers
        self.warm = warm
        self.allow_weak_isolation = allow_weak_isolation
        self.tier, self.reason = _choose(tier, allow_weak_isolation=allow_weak_isolation)
        self._asked = tier
        self._pool = _Pool(self.tier, workers)

    def run(
        self,
        source: str,
        stdin: str | bytes = "",
        files: Mapping[str, str | bytes] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Result:
        """Run a program as `python main.py` would, in an empty folder of its own.

        `files`: relative path -> content, put into that folder first. `limits` replaces the
        sandbox's own for this job.
        """
        result, _ = self._job(source, None, stdin, files, limits)
        return result

    def call(
        self,
        source: str,
        calls: Sequence[Call],
        stdin: str | bytes = "",
        files: Mapping[str, str | bytes] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Calls:
        """Run a program as a module, then call what it defines, one call after the other.

        Raises:
            NotPlainError: if an argument is no plain value.
        """
        packed = [
            {"function": c.function, "arguments": encode([list(c.args), dict(c.kwargs)])}
            for c in calls
        ]
        return self._calls(source, packed, stdin, files, limits)

    def evaluate(
        self,
        source: str,
        expressions: Sequence[str],
        stdin: str | bytes = "",
        files: Mapping[str, str | bytes] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Calls:
        """Run a program as a module, then evaluate expressions in its namespace."""
        packed = [{"function": text, "arguments": None} for text in expressions]
        return self._calls(source, packed, stdin, files, limits)

    def close(self) -> None:
        """End all processes; a later job starts others."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "limits": self.limits,
            "workers": self.workers,
            "warm": self.warm,
            "allow_weak_isolation": self.allow_weak_isolation,
            "tier": self._asked,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _calls(
        self,
        source: str,
        calls: list[dict[str, Any]],
        stdin: str | bytes,
        files: Mapping[str, str | bytes] | None,
        limits: Limits | None,
    ) -> Calls:
        result, returned = self._job(source, calls, stdin, files, limits)
        return Calls(returned, result)

    def _job(
        self,
        source: str,
        calls: list[dict[str, Any]] | None,
        stdin: str | bytes,
        files: Mapping[str, str | bytes] | None,
        limits: Limits | None,
    ) -> tuple[Result, tuple[Returned, ...]]:
        nonce = secrets.token_hex(16)
        job = {"source": source, "calls": calls, "nonce": nonce, "files": _packed(files or {})}
        given = stdin.encode() if isinstance(stdin, str) else stdin
        ended = self._pool.run(
            json.dumps(job).encode(), given, limits or self.limits, keep=self.warm
        )
        ends, returned = _read_results(ended.written[2], nonce, len(calls or ()))
        return _result(ended, memory=ends), returned


def _choose(tier: Tier | None, *, allow_weak_isolation: bool) -> tuple[Tier, str]:
    """The tier to use, and why none better."""
    if tier is not None:
        if tier not in TIERS:
            raise ValueError(f"tier must be one of {', '.join(TIERS)}, not {tier!r}")
        if tier != "bwrap" and not allow_weak_isolation:
            raise WeakIsolationError(
                f"tier {tier!r} is weaker than bubblewrap: set allow_weak_isolation to use it"
            )
        found = probe(tier)
        if not found.works:
            raise SandboxError(f"tier {tier!r} does not work here: {found.reason}")
        return tier, found.reason or f"tier {tier!r} was asked for"
    best, missing = find()
    reason = "; ".join(m.reason for m in missing) or best.reason
    if best.tier != "bwrap" and not allow_weak_isolation:
        raise WeakIsolationError(
            f"code that nobody trusts runs in bubblewrap only, and that does not work here: "
            f"{missing[0].reason}. With allow_weak_isolation: true it runs under {best.tier!r}, "
            "which a hostile program may leave"
        )
    return best.tier, reason


def _packed(files: Mapping[str, str | bytes]) -> dict[str, str]:
    packed = {}
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"a file's path must stay in the job's folder: {name!r}")
        packed[name] = (content.encode() if isinstance(content, str) else content).hex()
    return packed


def _result(ended: Ended, *, memory: bool) -> Result:
    outcome: Outcome
    if ended.reason in {"timeout", "memory", "output"}:
        outcome = ended.reason  # type: ignore[assignment]
    elif ended.reason:
        raise SandboxError(f"the sandbox {ended.reason}")
    elif memory:
        outcome = "memory"
    elif ended.exit_code is None or ended.exit_code < 0:
        outcome = "killed"
    else:
        outcome = "ok" if ended.exit_code == 0 else "error"
    stdout, stderr = (text.decode(errors="replace") for text in ended.written[:2])
    return Result(outcome, ended.exit_code, stdout, stderr, ended.seconds)


def _read_results(text: bytes, nonce: str, count: int) -> tuple[bool, tuple[Returned, ...]]:
    """Whether memory ran out, and what the calls returned: exactly `count`, whatever was written.

    The program can write here what it likes. So only answers in order are taken, each at most once,
    and the first line that is none ends it.
    """
    returned: list[Returned] = []
    memory = False
    for line in text.split(b"\n")[:-1]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            break
        if message == {"end": "memory"}:
            memory = True
        elif (one := _returned(message, nonce, len(returned))) is None or len(returned) == count:
            break
        else:
            returned.append(one)
    returned += [Returned("missing")] * (count - len(returned))
    return memory, tuple(returned)


def _returned(message: object, nonce: str, index: int) -> Returned | None:
    if not isinstance(message, dict) or message.get("nonce") != nonce:
        return None
    if type(message.get("index")) is not int or message["index"] != index:
        return None
    if isinstance(text := message.get("value"), str):
        try:
            return Returned("value", decode(text))
        except NotPlainError as error:
            return Returned("refused", error=str(error)[:_ERROR_LENGTH])
    for status in ("raised", "refused"):
        if isinstance(text := message.get(status), str):
            return Returned(status, error=text[:_ERROR_LENGTH])
    return None


class _Pool:
    """At most so many servers, each used by one thread at a time."""

    def __init__(self, tier: Tier, size: int) -> None:
        self.tier = tier
        self.nested = tier == "bwrap" and probe(tier).warm
        self.size = size
        self._owner = 0
        self._lock = threading.Lock()
        self._places: queue.LifoQueue[Server | None] = queue.LifoQueue()

    def run(self, payload: bytes, stdin: bytes, limits: Limits, *, keep: bool) -> Ended:
        places = self._open()
        server = places.get()
        try:
            for attempt in range(2):
                if server is None or not server.usable():
                    server = self._replace(server)
                try:
                    return server.run(payload, stdin, limits)
                except ServerLostError as error:
                    server.stop()
                    if attempt or "in time" in str(error):
                        return Ended(
                            "timeout" if "in time" in str(error) else "",
                            None,
                            limits.seconds,
                            [b"", b"", b""],
                        )
            raise AssertionError
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

    def _open(self) -> queue.LifoQueue[Server | None]:
        with self._lock:
            if self._owner != os.getpid():
                self._owner = os.getpid()
                self._places = queue.LifoQueue()
                for _ in range(self.size):
                    self._places.put(None)
            return self._places

    def _replace(self, server: Server | None) -> Server:
        if server is not None:
            server.stop()
        return Server(self.tier, nested=self.nested)

    def close(self) -> None:
        """End the servers that are not at work, and forget the others."""
        with self._lock:
            places, self._owner = self._places, 0
        while True:
            try:
                server = places.get_nowait()
            except queue.Empty:
                return
            if server is not None:
                server.stop()
