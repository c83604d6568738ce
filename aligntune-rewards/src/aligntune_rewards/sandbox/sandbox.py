"""Run code that nobody trusts, and get back what it wrote or plain values, never more."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aligntune_rewards.sandbox.errors import SandboxError, WeakIsolationError
from aligntune_rewards.sandbox.launch import Tier
from aligntune_rewards.sandbox.limits import Limits
from aligntune_rewards.sandbox.pool import Pool
from aligntune_rewards.sandbox.results import Calls, Checks, Result
from aligntune_rewards.sandbox.running import Ended
from aligntune_rewards.sandbox.tiers import TIERS, find, probe, require_linux
from aligntune_rewards.sandbox.values import encode
from aligntune_rewards.sandbox.wire import pack_files, read_checked, read_returned, result_of

__all__ = ["Call", "Sandbox"]


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
        require_linux()
        self.limits = limits if limits is not None else Limits()
        self.workers = workers
        self.warm = warm
        self.allow_weak_isolation = allow_weak_isolation
        self.tier, self.reason = _choose(tier, allow_weak_isolation=allow_weak_isolation)
        self._asked = tier
        self._pool = Pool(self.tier, workers)

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
        ended, _ = self._job("program", source, stdin, files, limits)
        return result_of(ended)

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

    def check(
        self,
        source: str,
        tests: Sequence[str],
        names: Sequence[str],
        *,
        setup: str = "",
        stdin: str | bytes = "",
        files: Mapping[str, str | bytes] | None = None,
        limits: Limits | None = None,
    ) -> Checks:
        """Run a program as a module, and tests of what it defines in another process.

        For tests that cannot be split into a call and an expected value. Each test is a text of
        statements, such as `"assert add(1, 2) == 3"`, that passes if it raises nothing; they run in
        order and share their names. The program runs in a process of its own, so that what it does
        to `==`, to builtins or to modules does not reach the tests.

        Args:
            source: The program.
            tests: The tests, trusted as their author is.
            names: What the tests take from the program. Functions and classes are called over
                there, with plain values in and out. Modules of the standard library are there for
                the tests without an import.
            setup: Statements that come before the first test.
            stdin: The program's standard input.
            files: Files in the program's folder.
            limits: Instead of the sandbox's own.
        """
        task = {"tests": list(tests), "names": list(names), "setup": setup}
        ended, nonce = self._job("tested", source, stdin, files, limits, tests=task)
        return Checks(read_checked(ended, nonce, len(tests)), result_of(ended))

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
        ended, nonce = self._job("calls", source, stdin, files, limits, calls=calls)
        return Calls(read_returned(ended, nonce, len(calls)), result_of(ended))

    def _job(
        self,
        mode: str,
        source: str,
        stdin: str | bytes,
        files: Mapping[str, str | bytes] | None,
        limits: Limits | None,
        *,
        calls: list[dict[str, Any]] | None = None,
        tests: dict[str, Any] | None = None,
    ) -> tuple[Ended, str]:
        nonce = secrets.token_hex(16)
        job = {"mode": mode, "source": source, "files": pack_files(files or {}), "calls": calls}
        if tests is None:
            job["nonce"] = nonce
        ended = self._pool.run(
            json.dumps(job).encode(),
            stdin.encode() if isinstance(stdin, str) else stdin,
            limits or self.limits,
            keep=self.warm,
            tests=None if tests is None else json.dumps({**tests, "nonce": nonce}).encode(),
        )
        return ended, nonce


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
