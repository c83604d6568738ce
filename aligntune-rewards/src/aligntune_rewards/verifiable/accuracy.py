r"""Whether the final answer is the right one, without evaluating mathematics."""

from __future__ import annotations

from typing import Any

from aligntune.scoring import RewardFunction
from aligntune_rewards.verifiable.answers import (
    candidates,
    check_after,
    last_number,
    parse_number,
    part_after,
    references_of,
    same_answer,
)

__all__ = ["AccuracyReward"]


class AccuracyReward(RewardFunction):
    r"""1 if the final answer of a completion is the reference, else 0.

    The final answer is what the completion declares: every `\boxed{…}` (all must be right, so that
    `\boxed{71}\boxed{72}` earns nothing for 72), or else every `<answer>…</answer>`, or else the
    last `#### …` or "the answer is …". Where nothing is declared it is the last number, if the
    reference is a number, or else the whole text.

    Numbers are compared exactly, as fractions: `0.5`, `1/2`, `\frac{1}{2}` and `50%` are equal, and
    so are `1,234` and `1234`. Units are not interpreted, but `\sqrt{72}`, `72!` or `not 72` are not
    72. Other answers must agree but for case, spaces, formatting and a full stop at the end. The
    reference may be a worked solution, of which the final answer counts, or a list of which any
    item will do.

    Range: 0 or 1. Higher is better. Columns: the reference; a row without one is left out (None).

    Args:
        tolerance: the largest difference between two numbers that are taken as equal.
        after: what must stand before the answer, such as `"</think>"`: only what follows the last
            one is read, and a completion without it earns 0.

    Attributes:
        failures: counts of `"hedged"` (several declared answers, some right) and `"no answer"` (a
            number was asked for, and none is there), and `"unfinished"` (it does not hold `after`).
    """

    name = "accuracy"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)
    quiet = frozenset({"no answer", "hedged", "unfinished"})

    def __init__(self, tolerance: float = 0.0, after: str | None = None) -> None:
        if not 0.0 <= tolerance < float("inf"):
            raise ValueError(f"tolerance is {tolerance}; it must be a finite number, 0 or more")
        self.tolerance = tolerance
        self.after = check_after(after)

    def compute(self, text: str, reference: Any = None) -> float | None:
        if reference is None:
            return None
        wanted = [answer for answer in references_of(reference) if answer]
        if not wanted:
            return None
        final = part_after(text, self.after)
        if final is None:
            return self.fail("unfinished")
        numeric = all(parse_number(answer) is not None for answer in wanted)
        answers = candidates(final, numeric=numeric)
        if not answers:
            answer = last_number(final) if numeric else final
            if answer is None:
                return self.fail("no answer")
            answers = [answer]
        right = [
            any(same_answer(answer, each, tolerance=self.tolerance) for each in wanted)
            for answer in answers
        ]
        if any(right) and not all(right):
            return self.fail("hedged")
        return float(all(right))
