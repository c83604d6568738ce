r"""The program that matches patterns, run in a process of its own: a match can take for ever.

Requests: `{"pattern": …, "text": …, "full": true, "seconds": …}`. Answers: `{"matches": true}`. It
imports nothing of AlignTune, so that it starts quickly.
"""

from __future__ import annotations

import json
import os
import re
import sys
from functools import lru_cache

__all__ = ["main"]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _limit_time(seconds: float) -> None:
    """Let the system end this process if it runs on, should its parent be gone by then."""
    if sys.platform != "win32":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = int(used.ru_utime + used.ru_stime + seconds) + 2
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def main() -> None:
    """Answer requests until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")

    def say(message: object) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    say({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        _limit_time(request["seconds"])
        pattern = _compiled(request["pattern"])
        find = pattern.fullmatch if request["full"] else pattern.search
        say({"matches": find(request["text"]) is not None})


if __name__ == "__main__":
    main()
