"""Whether a program does what its tests ask of it, found out by running it in a sandbox."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any, Literal, get_args

from aligntune.errors import UnavailableError
from aligntune.processes import cores
from aligntune.scoring import RewardFunction
from aligntune_rewards.code.blocks import LONGEST, Which, check_which, code_of
from aligntune_rewards.code.checked import flag, positive, whole
from aligntune_rewards.sandbox import (
    Call,
    Limits,
    NotPlainError,
    Result,
    Sandbox,
    SandboxError,
)
from aligntune_rewards.verifiable.code_tests import Tests, read_tests
from aligntune_rewards.verifiable.code_values import Rule, agree, same_output

__all__ = ["CodeExecutionReward"]

logger = logging.getLogger("aligntune")

Score = Literal["all", "share"]


class CodeExecutionReward(RewardFunction):
    r"""1 if the program of the completion passes its tests, else 0; or the share that it passes.

    The program runs in a sandbox, which never learns what is expected of it: functions are called
    inside, and their values, or what the program writes, are compared outside. Values leave the
    sandbox as plain builtin types only. Tests are, in the column `tests`, a list of any of

        {"function": "add", "args": [1, 2], "expected": 3}, also with "kwargs"
        {"input": "1 2\n", "output": "3\n"}
        "assert add(1, 2) == 3"

    or such a list as JSON, or one text of Python statements, or `{"inputs": [...], "outputs":
    [...]}`, with `fn_name` if these are arguments; then an output may stand in a list of its own,
    as in APPS. An assert that compares a call with a value is split in two; any other runs in a
    process of its own, which the program cannot reach: only calls and plain values go between the
    two, and every test must report. Builtins and the standard library are the tests' own there.

    An int and a float are compared by value. What comes from JSON cannot tell a tuple from a list,
    so they are equal there, and a bool equals nothing but itself; an assert compares as Python
    does. White space at the ends of lines counts for nothing in what a program writes.

    The program is the last fenced block that is marked as Python or not marked; a completion
    without a fence is a program itself. One that does not run to the end of its tests, because it
    raises when it starts, takes too long or too much, or ends itself, earns 0.

    Range: 0 to 1. Higher is better. Columns: `tests`, a row without any is left out (None);
    `setup`, statements that come before the program; `entry_point`, the function that is tested
    where the tests define `check(candidate)`. About 6 ms a completion. Needs Linux, and bubblewrap
    (`apt-get install bubblewrap`).

    Args:
        score: `all` (all tests must pass) or `share` (the share of them that do).
        timeout: seconds that the tests of one completion may take together.
        memory_mb: MiB that a program may use.
        tolerance: the difference between floats, absolute or relative, that does not count.
        exact_types: 1 is not 1.0, and a tuple is no list, whatever the tests are written in.
        block: which of several blocks counts: `last`, `first`, or `all`, one below the other.
        allow_weak_isolation: go on where bubblewrap does not work, with what the kernel has.

    Attributes:
        isolation: the tier of the sandbox, once it is loaded.
        failures: counts of `"no code"`, `"too long"`, `"error"` (it raises when it starts),
            `"timeout"`, `"memory"`, `"output"` (it writes too much), `"killed"` and
            `"ended early"`.

    Raises:
        UnavailableError: from `load`, if there is no sandbox, or only a weak one.
        ValueError, TypeError: when scoring, if a test has no known form.
    """

    name = "code_execution"
    requires = frozenset({"tests"})
    range = (0.0, 1.0)
    cost = "process"
    own_processes = True
    quiet = frozenset({"no code", "too long", "error", "ended early"})
    timeout: float

    def __init__(  # noqa: PLR0917 - all have a name in a configuration
        self,
        score: Score = "all",
        timeout: float = 5.0,
        memory_mb: int = 512,
        tolerance: float = 0.0,
        exact_types: bool = False,
        block: Which = "last",
        allow_weak_isolation: bool = False,
    ) -> None:
        if score not in get_args(Score):
            raise ValueError(f"score is {score!r}; it is one of {', '.join(get_args(Score))}")
        self.score = score
        self.timeout = positive(timeout, "timeout")
        self.memory_mb = whole(memory_mb, "memory_mb", 64, 1 << 20)
        self.tolerance = 0.0 if tolerance == 0 else positive(tolerance, "tolerance")
        self.exact_types = flag(exact_types, "exact_types")
        self.block = check_which(block)
        self.allow_weak_isolation = flag(allow_weak_isolation, "allow_weak_isolation")
        self._begin()

    def _begin(self) -> None:
        self._sandbox: Sandbox | None = None
        self._making = threading.Lock()

    @property
    def isolation(self) -> str | None:
        """The tier of isolation that programs run under; None until it is known."""
        return None if self._sandbox is None else self._sandbox.tier

    def record(self) -> dict[str, Any]:
        """What the record of a run says of this reward."""
        return {"isolation": self.isolation}

    def load(self) -> None:
        self.sandbox()

    def sandbox(self) -> Sandbox:
        """The sandbox, made when it is first asked for.

        Raises:
            UnavailableError: if there is none, or only a weak one, and that is not allowed.
        """
        with self._making:
            if self._sandbox is None:
                try:
                    self._sandbox = Sandbox(
                        Limits(seconds=self.timeout, memory_mb=self.memory_mb),
                        # A program that hangs must not keep the others waiting.
                        workers=max(4, 2 * cores()),
                        allow_weak_isolation=self.allow_weak_isolation,
                    )
                except SandboxError as error:
                    raise UnavailableError(f"reward {self.label!r}: {error}") from error
                weak = self._sandbox.tier != "bwrap"
                logger.log(
                    logging.WARNING if weak else logging.INFO,
                    "reward %s runs programs under %s%s",
                    self.label,
                    self._sandbox.tier,
                    f", which is weak: {self._sandbox.reason}" if weak else "",
                )
            return self._sandbox

    def compute(
        self, text: str, tests: Any = None, setup: str | None = None, entry_point: str | None = None
    ) -> float | None:
        if setup is not None and not isinstance(setup, str):
            raise TypeError(f"setup is {setup!r:.80}; it must be a text of Python statements")
        found = None if tests is None else read_tests(tests, entry_point)
        if not found:
            return None
        code = code_of(text, self.block)
        if code is None:
            return self.fail("no code")
        if len(code) > LONGEST:
            return self.fail("too long")
        source = _begun(setup, code) if setup else code
        try:
            passed = self._passed(source, found)
        except _EndedError as end:
            return self.fail(end.kind)
        return float(passed == len(found)) if self.score == "all" else passed / len(found)

    def close(self) -> None:
        """End the processes that programs run in; the next call starts others."""
        if self._sandbox is not None:
            self._sandbox.close()

    def _passed(self, source: str, tests: Tests) -> int:
        """How many tests the program passes.

        Raises:
            _EndedError: if it does not come to the end of them.
        """
        passed, left = 0, self.timeout
        for stage, count in (
            (self._calls, len(tests.calls)),
            (self._statements, len(tests.statements)),
            (self._streams, len(tests.streams)),
        ):
            if count:
                more, seconds = stage(source, tests, left)
                passed, left = passed + more, left - seconds
                if self.score == "all" and more < count:
                    break
        return passed

    def _calls(self, source: str, tests: Tests, left: float) -> tuple[int, float]:
        calls = [Call(test.function, test.args, test.kwargs) for test in tests.calls]
        try:
            done = self.sandbox().call(source, calls, limits=self._limits(left))
        except NotPlainError as error:
            raise ValueError(f"tests: an argument cannot be handed over: {error}") from error
        _check_end(done.program, missing=any(r.status == "missing" for r in done.returned))
        passed = 0
        for returned, test in zip(done.returned, tests.calls, strict=True):
            rule = Rule(exact=self.exact_types, python=test.python, tolerance=self.tolerance)
            wanted = [test.expected, *(test.expected if test.boxed else ())]
            passed += returned.status == "value" and any(
                agree(returned.value, each, rule) for each in wanted
            )
        return passed, done.program.seconds

    def _statements(self, source: str, tests: Tests, left: float) -> tuple[int, float]:
        done = self.sandbox().check(
            source, tests.statements, tests.names, limits=self._limits(left)
        )
        missing = any(test.status == "missing" or test.error == _GONE for test in done.tests)
        _check_end(done.program, missing=missing)
        return done.passed, done.program.seconds

    def _streams(self, source: str, tests: Tests, left: float) -> tuple[int, float]:
        passed, used = 0, 0.0
        for index, test in enumerate(tests.streams):
            done = self.sandbox().run(source, test.given, limits=self._limits(left - used))
            if done.outcome != "error":
                _check_end(done, missing=False)
            right = same_output(done.stdout, test.expected, self.tolerance)
            passed += done.outcome == "ok" and right
            used += done.seconds
            if self.score == "all" and passed <= index:
                break
        return passed, used

    def _limits(self, left: float) -> Limits:
        if left < _LEAST:
            raise _EndedError("timeout")
        return Limits(seconds=left, memory_mb=self.memory_mb)

    def __getstate__(self) -> dict[str, Any]:
        hidden = ("_sandbox", "_making")
        return {name: value for name, value in self.__dict__.items() if name not in hidden}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()


_FUTURE = re.compile(r"^from[ \t]+__future__[ \t]+import\b[^\n(]*$", re.MULTILINE)
_LEAST = 0.05  # seconds in which no program can do anything
_GONE = "ProgramError: the program has ended"  # what a test says that outlives it


def _begun(setup: str, code: str) -> str:
    """A program that begins with other statements; only imports of `__future__` stay before."""
    end = max((match.end() for match in _FUTURE.finditer(code)), default=0)
    return f"{code[:end]}\n{setup}\n{code[end:]}"


class _EndedError(Exception):
    """The program did not come to the end of its tests."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def _check_end(program: Result, *, missing: bool) -> None:
    if program.outcome in ("timeout", "memory", "output", "killed"):
        raise _EndedError(program.outcome)
    if missing:
        raise _EndedError("error" if program.outcome == "error" else "ended early")
