"""How clean the code of a completion is: what ruff finds in it, and how tangled it is by radon."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError
from aligntune.processes import Worker, WorkerCrashError, WorkerTimeoutError
from aligntune.scoring import RewardFunction
from aligntune_rewards.code.blocks import LONGEST, Which, check_which, code_of
from aligntune_rewards.code.checked import positive, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.scoring import RewardBatch

__all__ = ["SELECT", "CodeQualityReward"]

_PROGRAM = Path(__file__).with_name("quality_worker.py")
_RULE = re.compile(r"[A-Z]+[0-9]*")

SELECT = ("E", "F", "W", "B", "C4", "N", "SIM", "S102", "S307")
"""The rules of ruff that count: pycodestyle, Pyflakes, bugbear, comprehensions, names, what can be
said more simply, and `exec` and `eval`, which hide code from all of them."""


class CodeQualityReward(RewardFunction):
    """Of the code in a completion: few problems found by ruff, times a low complexity by radon.

        half_at / (half_at + problems)  x  min(1, max_complexity / complexity)

    `problems` is the number of findings of ruff (https://docs.astral.sh/ruff), `# noqa` or not;
    `complexity` is McCabe's cyclomatic complexity, by radon (https://radon.readthedocs.io), of the
    worst function or class body, or of what stands outside of these. Both are of the program as a
    whole, not per line: adding code, comments or repetitions to a program never raises its value.

    The code is the last fenced block that is marked as Python or not marked; a completion without a
    fence is code itself. What cannot be parsed, or does nothing, earns 0. Ruff and radon are run
    once for a batch, in a process of their own, with no settings but these.

    Range: 0 to 1. Higher is better. Columns: none. About 2 ms a completion in a batch of 64, and
    0.1 s to start the process. Needs `pip install "aligntune-rewards[code]"`.

    Args:
        select: the rules of ruff that count, as in its `select`.
        line_length: the longest line that is no problem (E501).
        half_at: the number of problems for which the first factor is one half.
        max_complexity: the highest complexity that costs nothing.
        block: which of several blocks counts: `last`, `first`, or `all`, one below the other.
        timeout: seconds that a batch may take; then its halves are tried, and so on.

    Attributes:
        failures: counts of `"syntax error"`, `"no code"`, `"too long"` (over 100,000 characters),
            `"too deep"`, `"timeout"` and `"crash"`.

    Raises:
        ConfigError: from `load`, if ruff does not know a rule.
        WorkerStartError: when scoring, if the process cannot be started.
    """

    name = "code_quality"
    range = (0.0, 1.0)
    cost = "process"
    own_processes = True
    quiet = frozenset({"syntax error", "no code", "too long", "too deep"})
    timeout: float

    def __init__(  # noqa: PLR0917 - all have a name in a configuration
        self,
        select: Sequence[str] = SELECT,
        line_length: int = 100,
        half_at: float = 5.0,
        max_complexity: int = 10,
        block: Which = "last",
        timeout: float = 30.0,
    ) -> None:
        self.select = _rules(select)
        self.line_length = whole(line_length, "line_length", 1, 320)
        self.half_at = positive(half_at, "half_at")
        self.max_complexity = whole(max_complexity, "max_complexity", 1, 10_000)
        self.block = check_which(block)
        self.timeout = positive(timeout, "timeout")
        self.worker = Worker(_PROGRAM)

    def load(self) -> None:
        answer = self._asked([])
        if "wrong" in answer:
            raise ConfigError(f"reward {self.label!r}: params.select: {answer['wrong']}")

    def compute(self, text: str) -> float | None:
        return self._scores([text])[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        return self._scores(batch.texts)

    def close(self) -> None:
        """End the process that measures; the next call starts another."""
        self.worker.close()

    def _scores(self, texts: Sequence[str]) -> list[float | None]:
        codes = [code_of(text, self.block) for text in texts]
        kinds = ["no code" if code is None else "too long" for code in codes]
        there = [i for i, code in enumerate(codes) if code is not None and len(code) <= LONGEST]
        found: list[dict[str, Any]] = [{"failed": kind} for kind in kinds]
        for index, answer in zip(there, self._measured([codes[i] for i in there]), strict=True):
            found[index] = answer
        return [self._score(each) for each in found]

    def _score(self, found: dict[str, Any]) -> float:
        if "failed" in found:
            return self.fail(found["failed"])
        clean: float = self.half_at / (self.half_at + found["problems"])
        return clean * min(1.0, self.max_complexity / int(found["complexity"]))

    def _measured(self, codes: Sequence[str | None]) -> list[dict[str, Any]]:
        """What is found in each code; where the lot fails, its halves are tried."""
        if not codes:
            return []
        try:
            answer = self._asked(codes)
        except (WorkerTimeoutError, WorkerCrashError) as error:
            if len(codes) == 1:
                kind = "timeout" if isinstance(error, WorkerTimeoutError) else "crash"
                return [{"failed": kind}]
            half = len(codes) // 2
            return [*self._measured(codes[:half]), *self._measured(codes[half:])]
        if "wrong" in answer:
            raise ValueError(answer["wrong"])
        found: list[dict[str, Any]] = answer["found"]
        return found

    def _asked(self, codes: Sequence[str | None]) -> dict[str, Any]:
        request = {"codes": codes, "select": self.select, "line_length": self.line_length}
        with tempfile.TemporaryDirectory(prefix="aligntune-code-") as folder:
            answer: dict[str, Any] = self.worker.call(request | {"folder": folder}, self.timeout)
        return answer


def _rules(given: object) -> list[str]:
    wrong = f"select is {given!r}; it must be a list of rules of ruff, such as [E, F, B]"
    if isinstance(given, str) or not isinstance(given, list | tuple) or not given:
        raise ValueError(wrong)
    if not all(isinstance(rule, str) and _RULE.fullmatch(rule) for rule in given):
        raise ValueError(wrong)
    return list(given)
