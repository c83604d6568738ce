"""What comes back from the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Calls", "Checked", "Checks", "Outcome", "Result", "Returned"]

Outcome = Literal["ok", "error", "timeout", "memory", "output", "killed"]


@dataclass(frozen=True)
class Result:
    """How a program ended, and what it wrote.

    `outcome`: `"ok"` (it ended with status 0), `"error"` (another status, an uncaught exception),
    `"timeout"`, `"memory"` (an uncaught MemoryError, or all its processes together used too much),
    `"output"` (it wrote too much, and was ended), or `"killed"` (by a signal, its own or for the
    files it wrote).
    `exit_code`: its status, minus the signal that ended it, or None if the sandbox ended it.
    `stdout`, `stderr`: at most `output_bytes` together; what is no UTF-8 is replaced.
    `seconds`: wall time.

    The program decides about `"ok"`, `exit_code` and what it writes. Compare `stdout` with what you
    expect; never take a word printed or a status for proof that a test has passed.
    """

    outcome: Outcome
    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True)
class Returned:
    """What became of one call.

    `status`: `"value"`; `"raised"` (an exception, named in `error`); `"refused"` (it returned
    something that is no plain value: `error` says what); or `"missing"` (the program ended before).
    """

    status: Literal["value", "raised", "refused", "missing"]
    value: Any = None
    error: str = ""


@dataclass(frozen=True)
class Calls:
    """What became of every call, in order, and how the program as a whole ended.

    `returned` always has one entry for each call that was asked for.
    """

    returned: tuple[Returned, ...]
    program: Result


@dataclass(frozen=True)
class Checked:
    """What became of one test: `"passed"`, `"failed"` (`error` says why), or `"missing"`.

    A test is missing when the job ended before it, by a limit for example.
    """

    status: Literal["passed", "failed", "missing"]
    error: str = ""


@dataclass(frozen=True)
class Checks:
    """What became of every test, in order, and how the program as a whole ended.

    `tests` always has one entry for each test that was given.
    """

    tests: tuple[Checked, ...]
    program: Result

    @property
    def passed(self) -> int:
        """The number of tests that passed."""
        return sum(test.status == "passed" for test in self.tests)
