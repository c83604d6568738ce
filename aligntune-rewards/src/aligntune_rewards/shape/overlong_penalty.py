r"""A penalty for completions that come close to the longest length, or pass it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import whole
from aligntune_rewards.shape.units import Unit, check_unit, length_in

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OverlongPenaltyReward"]


class OverlongPenaltyReward(RewardFunction):
    r"""0 up to a length, falling to -1 at the longest one: DAPO's soft overlong punishment.

    With n the length, L the longest and C the width of the slope (Yu et al. 2025, arXiv 2503.14476,
    equation 13):

        0                 for n <= L - C
        (L - C - n) / C   for L - C < n <= L
        -1                for L < n

    Equal to `trl.rewards.get_soft_overlong_punishment(L, C)`. Give L the `max_completion_length` of
    the run: a completion that is cut off there earns -1.

    Range: -1 to 0. Higher is better. Columns: none; the token ids of the completion are read.

    Args:
        max_length: L.
        slope: C; unset, a fifth of L as in the paper (4,096 of 20,480 tokens). 0 makes it a step.
        unit: what is counted: `"tokens"`, `"words"` or `"characters"`.

    Raises:
        ValueError: unless 0 <= slope <= max_length and 1 <= max_length; when scoring, if tokens are
            to be counted and not known.
    """

    name = "overlong_penalty"
    range = (-1.0, 0.0)

    def __init__(self, max_length: int, slope: int | None = None, unit: Unit = "tokens") -> None:
        whole("max_length", max_length, 1)
        slope = max_length // 5 if slope is None else slope
        whole("slope", slope, 0)
        if slope > max_length:
            raise ValueError(f"slope is {slope}, which is more than max_length, {max_length}")
        self.max_length = max_length
        self.slope = slope
        self.unit = check_unit(unit)

    def compute(self, text: str, *, completion_ids: Sequence[int] | None = None) -> float | None:
        length = length_in(self.unit, text, completion_ids)
        free = self.max_length - self.slope
        if length <= free:
            return 0.0
        return (free - length) / self.slope if length <= self.max_length else -1.0
