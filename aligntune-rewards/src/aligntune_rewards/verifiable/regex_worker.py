r"""The program that matches patterns, run in a process of its own: a match can take for ever.

Requests: `{"pattern": …, "text": …, "full": true, "seconds": …}`. Answers: `{"matches": true}`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from aligntune.answering import serve

__all__: list[str] = []


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _answer(request: dict[str, Any]) -> dict[str, bool]:
    pattern = _compiled(request["pattern"])
    find = pattern.fullmatch if request["full"] else pattern.search
    return {"matches": find(request["text"]) is not None}


if __name__ == "__main__":
    serve(_answer)
