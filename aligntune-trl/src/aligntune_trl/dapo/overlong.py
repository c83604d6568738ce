"""Soft overlong punishment (Yu et al. 2025, arXiv 2503.14476, equation 13): what length costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["SHARE", "OverlongPunishment", "overlong_punishment"]

# The paper's cache of 4,096 tokens, of completions of at most 20,480: one fifth.
SHARE = 5


def overlong_punishment(length: int, longest: int, cache: int) -> float:
    """What a completion of `length` tokens gets on top of its reward, from 0 to -1.

    0 up to `longest - cache` tokens, then linear down to -1 at `longest` tokens, and -1 beyond.

    Args:
        length: tokens of the completion, with its end-of-sequence token.
        longest: the most that is allowed.
        cache: over how many tokens the punishment grows; 0: there is none.
    """
    free = longest - cache
    if not cache or length <= free:
        return 0.0
    return max((free - length) / cache, -1.0)


class OverlongPunishment:
    """The punishment as a reward function of TRL's trainers, which add it to the others.

    Args:
        longest: the most tokens of a completion.
        cache: over how many tokens the punishment grows.
    """

    __name__ = "overlong"  # TRL logs it as `rewards/overlong/mean`

    def __init__(self, longest: int, cache: int) -> None:
        self.longest = longest
        self.cache = cache

    def __call__(self, completion_ids: Sequence[Sequence[int]], **columns: Any) -> list[float]:
        return [overlong_punishment(len(ids), self.longest, self.cache) for ids in completion_ids]
