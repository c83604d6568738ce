"""Whether a completion is neither too short nor too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import whole
from aligntune_rewards.shape.units import Unit, check_unit, length_in

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LengthReward"]


class LengthReward(RewardFunction):
    """1 while the length n is within bounds, falling to 0 outside them.

    n / min_length below `min_length`; 1 from `min_length` to `max_length`; above it
    max(0, 1 - (n - max_length) / max_length), which is 0 from twice `max_length` on.

    It sees nothing but length: use it with a small weight beside a reward that judges content.

    Range: 0 to 1. Higher is better. Columns: none.

    Args:
        min_length: shortest length that earns 1; 0 gives the empty text 1 too.
        max_length: longest length that earns 1.
        unit: what is counted: `"words"` (runs without white space), `"characters"` (Unicode code
            points; for languages that put no spaces between words) or `"tokens"` (of the policy's
            own tokenizer, known in training only).
    """

    name = "length"
    range = (0.0, 1.0)

    def __init__(self, min_length: int = 1, max_length: int = 200, unit: Unit = "words") -> None:
        whole("max_length", max_length, 1)
        if not 0 <= min_length <= max_length:
            raise ValueError(
                f"min_length is {min_length} and max_length {max_length}; "
                "0 <= min_length <= max_length must hold"
            )
        whole("min_length", min_length, 0)
        self.min_length = min_length
        self.max_length = max_length
        self.unit = check_unit(unit)

    def compute(self, text: str, *, completion_ids: Sequence[int] | None = None) -> float | None:
        length = length_in(self.unit, text, completion_ids)
        if length < self.min_length:
            return length / self.min_length
        if length <= self.max_length:
            return 1.0
        return max(0.0, 1.0 - (length - self.max_length) / self.max_length)
