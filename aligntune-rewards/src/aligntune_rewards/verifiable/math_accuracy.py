r"""Whether the final answer is mathematically equal to the reference, judged by math-verify."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from aligntune.processes import WorkerCrashError, Workers, WorkerTimeoutError
from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import whole
from aligntune_rewards.verifiable.answers import (
    boxed,
    candidates,
    check_after,
    part_after,
    references_of,
)

__all__ = ["MathAccuracyReward"]

_PROGRAM = Path(__file__).with_name("math_worker.py")
_LONGEST_TEXT = 20_000
_MOST_ANSWERS = 8
_DEEPEST_BOX = 3
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{(.*)\}", re.DOTALL)


class MathAccuracyReward(RewardFunction):
    r"""1 if the final answer is equal to the reference as mathematics, else 0.

    The answer is every `\boxed{…}` of the completion: each must be right, or all together be the
    reference, so that `\boxed{71}\boxed{72}` earns nothing for 72, and 1 for the set of both. Or
    else it is every `<answer>…</answer>`, or else what math-verify finds in the last 20,000
    characters of the text. `\frac{1}{2}` equals 0.5, and `x + 1` equals `1 + x`. Judged by
    math-verify (https://github.com/huggingface/Math-Verify) with the reference as gold.

    math-verify works in a process of its own, since comparing an answer such as `9^{9^{9^9}}` never
    ends. A completion that takes longer than `timeout`, ends that process or cannot be parsed earns
    0 and is counted. The reward can be called from any thread.

    Range: 0 or 1. Higher is better. Columns: the reference, as LaTeX or plain; a row without one,
    or whose reference holds no mathematics, is left out (None). About 1 ms a completion, and 0.5 s
    to start the process. Needs `pip install "aligntune-rewards[math]"`.

    Args:
        timeout: seconds that one completion may take.
        precision: decimal places to which numbers must agree.
        after: what must stand before the answer, such as `"</think>"`: only what follows the last
            one is read, and a completion without it earns 0.

    Attributes:
        failures: counts of `"timeout"`, `"crash"`, `"unparseable"`, `"hedged"`, `"no answer"`, and
            `"reference without mathematics"`, and `"unfinished"` (it does not hold `after`).

    Raises:
        WorkerStartError: when scoring, if the process cannot be started.
    """

    name = "math_accuracy"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)
    quiet = frozenset({"no answer", "hedged", "unfinished"})
    cost = "process"
    own_processes = True
    timeout: float

    def __init__(self, timeout: float = 5.0, precision: int = 6, after: str | None = None) -> None:
        if not 0.0 < timeout < float("inf"):
            raise ValueError(f"timeout is {timeout}; it must be a finite number of seconds above 0")
        whole("precision", precision, 0)
        self.timeout = timeout
        self.precision = precision
        self.after = check_after(after)
        self.workers = Workers(_PROGRAM)

    def compute(self, text: str, reference: Any = None) -> float | None:
        wanted = [] if reference is None else _golds(reference)
        if not wanted:
            return None
        final = part_after(text, self.after)
        if final is None:
            return self.fail("unfinished")
        text = final
        answers = candidates(text) if boxed(text) or "</answer>" in text.lower() else None
        if answers is not None:
            answers = [_unwrapped(answer) for answer in answers]
            # A box within a box is a second answer.
            if len(answers) > _MOST_ANSWERS or any(map(boxed, answers)):
                return self.fail("hedged")
        verdicts = [self._verdict(gold, answers, text[-_LONGEST_TEXT:]) for gold in wanted]
        if "right" in verdicts:
            return 1.0
        if all(verdict == "no gold" for verdict in verdicts):
            self.failures["reference without mathematics"] += 1
            return None
        verdict = next(verdict for verdict in verdicts if verdict != "no gold")
        return 0.0 if verdict == "wrong" else self.fail(verdict)

    def close(self) -> None:
        """End the process that compares; the next call starts another."""
        self.workers.close()

    def _verdict(self, gold: str, answers: list[str] | None, text: str) -> str:
        request = {
            "gold": gold,
            "answers": answers,
            "text": text,
            "places": self.precision,
            "seconds": self.timeout,
        }
        try:
            verdict: str = self.workers.call(request, self.timeout)["verdict"]
        except WorkerTimeoutError:
            return "timeout"
        except WorkerCrashError:
            return "crash"
        return verdict


def _unwrapped(answer: str) -> str:
    r"""The content of `\boxed{…}`, where an answer is nothing but that."""
    for _ in range(_DEEPEST_BOX):
        match = _BOX.fullmatch(answer)
        if match is None or boxed(answer) != [match[1].strip()]:
            break
        answer = match[1].strip()
    return answer


def _golds(reference: Any) -> list[str]:
    """The accepted answers; math-verify decides which boxes of a worked solution count."""
    each = reference if isinstance(reference, list | tuple) else [reference]
    found = [
        str(one) if boxed(str(one)) else answer for one in each for answer in references_of(one)
    ]
    return [gold for gold in found if gold]
