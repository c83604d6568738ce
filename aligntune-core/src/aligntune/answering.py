"""The other end of `aligntune.processes`: what a program does that answers requests in a process.

It speaks JSON, one line per message, on its standard input and output, and says `{"ready": true}`
first. Importing this imports nothing else of AlignTune, so that such a program starts quickly.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["open_answers", "serve"]

_LATE = 2  # seconds of processor time beyond those that the caller waits


def serve(
    answer: Callable[[dict[str, Any]], object],
    *,
    start: Callable[[], None] | None = None,
    memory_bytes: int | None = None,
) -> None:
    """Answer requests until standard input ends.

    Args:
        answer: a request to its answer. A request that names its `seconds` also ends this process
            when it takes so long, by the system's clock: its caller may be gone by then.
        start: what must work before the first request, such as imports; an ImportError is told to
            the caller.
        memory_bytes: most address space of this process.
    """
    say = open_answers()
    if start is not None:
        try:
            start()
        except ImportError as error:
            say({"error": f"{error}"})
            return
    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    say({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        if "seconds" in request:
            _limit_time(request["seconds"])
        say(answer(request))


def open_answers() -> Callable[[object], None]:
    """The function that sends a message; from now on, what is printed goes to standard error.

    What a library prints must not get between the answers.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: object) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    return say


def _limit_memory(most: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _lower(resource.RLIMIT_AS, most)


def _limit_time(seconds: float) -> None:
    if sys.platform != "win32":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + _LATE)


if sys.platform != "win32":

    def _lower(which: int, most: int) -> None:
        """Set the soft limit, below the hard one."""
        import resource

        _, hard = resource.getrlimit(which)
        soft = most if hard == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(which, (soft, hard))
