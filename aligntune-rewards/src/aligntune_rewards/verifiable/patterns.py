"""Matches somebody's pattern against a model's text, in processes that are killed in time.

A pattern such as `(a+)+$` takes longer than the universe has for forty letters, and Python's own
matcher can neither be stopped nor runs beside other threads.
"""

from __future__ import annotations

import re
from pathlib import Path

from aligntune.processes import Workers

__all__ = ["Patterns", "check_pattern"]

_PROGRAM = Path(__file__).with_name("regex_worker.py")


class Patterns:
    """Matches patterns, each within `timeout` seconds.

    Raises:
        ValueError: if that is not a number of seconds.
    """

    def __init__(self, timeout: float) -> None:
        if not 0.0 < timeout < float("inf"):
            raise ValueError(f"timeout is {timeout}; it must be a finite number of seconds above 0")
        self.timeout = timeout
        self._workers = Workers(_PROGRAM)

    def matches(self, pattern: str, text: str, *, full: bool) -> bool:
        """Whether the pattern matches the whole text, or else whether it is found in it.

        Raises:
            WorkerTimeoutError: if that takes too long. WorkerCrashError: if the process ends.
        """
        request = {"pattern": pattern, "text": text, "full": full, "seconds": self.timeout}
        return bool(self._workers.call(request, self.timeout)["matches"])

    def close(self) -> None:
        """End the processes; the next match starts others."""
        self._workers.close()


def check_pattern(pattern: object) -> str:
    """The pattern, if it is one.

    Raises:
        ValueError: if it is no regular expression of Python's. TypeError: if it is no text.
    """
    if not isinstance(pattern, str):
        raise TypeError(f"pattern is {pattern!r}; it must be a text")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"pattern {pattern!r} is no regular expression: {error}") from error
    return pattern
