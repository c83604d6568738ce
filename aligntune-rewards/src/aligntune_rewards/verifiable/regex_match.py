r"""Whether a completion matches a regular expression."""

from __future__ import annotations

from typing import Any, Literal, get_args

from aligntune.processes import WorkerCrashError, WorkerTimeoutError
from aligntune.scoring import RewardFunction
from aligntune_rewards.verifiable.patterns import Patterns, check_pattern

__all__ = ["Mode", "RegexMatchReward"]

Mode = Literal["full", "search"]


class RegexMatchReward(RewardFunction):
    r"""1 if the completion matches a regular expression, else 0.

    The expression is the parameter `pattern`, or else the row's column `pattern`; it is one of
    Python's (https://docs.python.org/3/library/re.html), and `(?i)` and its like at its beginning
    set flags.

    Matching is done by Python's own `re` in processes of their own, since a pattern such as
    `(a+)+$` can take for ever. A completion that takes longer than `timeout`, or that ends the
    process, earns 0 and is counted. The reward can be called from any thread.

    Range: 0 or 1. Higher is better. Columns: `pattern`, if the parameter is not set; a row without
    one is left out (None).

    Args:
        pattern: the regular expression, for all rows.
        mode: `"full"`: it matches the whole text. `"search"`: it is found somewhere in the text.
        strip: leave out white space at both ends of the completion first.
        timeout: seconds that one completion may take.

    Attributes:
        failures: counts of `"timeout"` and `"crash"`.

    Raises:
        ValueError: if the pattern is no regular expression; when scoring, if the column's is none.
    """

    name = "regex_match"
    range = (0.0, 1.0)
    cost = "process"
    own_processes = True

    def __init__(
        self,
        pattern: str | None = None,
        mode: Mode = "full",
        strip: bool = True,
        timeout: float = 1.0,
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode is {mode!r}; it is one of {', '.join(get_args(Mode))}")
        self.pattern = None if pattern is None else check_pattern(pattern)
        self.requires = frozenset({"pattern"} if pattern is None else ())
        self.mode = mode
        self.strip = strip
        self.timeout = timeout
        self._patterns = Patterns(timeout)

    def compute(self, text: str, pattern: Any = None) -> float | None:
        if self.pattern is not None:
            wanted = self.pattern
        elif pattern is None:
            return None
        else:
            wanted = check_pattern(pattern)
        text = text.strip() if self.strip else text
        try:
            return float(self._patterns.matches(wanted, text, full=self.mode == "full"))
        except WorkerTimeoutError:
            return self.fail("timeout")
        except WorkerCrashError:
            return self.fail("crash")

    def close(self) -> None:
        """End the processes that match; the next call starts others."""
        self._patterns.close()
