r"""Whether a completion is no longer than it needs to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import whole
from aligntune_rewards.shape.units import Unit, check_unit, length_in
from aligntune_rewards.words import plain_form

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ConcisenessReward"]


class ConcisenessReward(RewardFunction):
    r"""1 while the completion is no longer than its budget, and budget / length beyond it.

    The budget of a row is `ratio` times the length of its reference (of several, the longest), or
    `budget`. Twice the budget earns 0.5, four times 0.25: unlike with `length`, a shorter one is
    always better, however far away the budget is. The empty text earns 0.

    Characters are counted unless something else is asked for, since words can be run together: of
    letters, digits and marks that can be seen, not of white space.

    It sees nothing but length, and the shortest text earns the most: use it with a small weight
    beside a reward that judges content.

    Range: 0 to 1. Higher is better. Columns: the reference, unless `budget` is set; a row without
    one is left out (None).

    Args:
        budget: the length that earns 1, for all rows, in place of the reference's.
        ratio: the budget, as a multiple of the length of the reference.
        unit: what is counted: `"characters"`, `"words"`, or, with `budget` only, `"tokens"`.

    Raises:
        ValueError: for values that make no sense together.
    """

    name = "conciseness"
    range = (0.0, 1.0)
    requires = frozenset({"reference"})

    def __init__(
        self, budget: int | None = None, ratio: float | None = None, unit: Unit = "characters"
    ) -> None:
        if budget is not None and ratio is not None:
            raise ValueError("budget and ratio are both set; ratio is of the reference's length")
        if ratio is not None and not 0.0 < ratio < float("inf"):
            raise ValueError(f"ratio is {ratio}; it must be a finite number above 0")
        if check_unit(unit) == "tokens" and budget is None:
            raise ValueError("unit is 'tokens', which are not known of a reference; set budget")
        if budget is not None:
            whole("budget", budget, 1)
            self.requires = frozenset()
        self.budget = budget
        self.ratio = 1.0 if ratio is None else ratio
        self.unit = unit

    def compute(
        self,
        text: str,
        reference: Any = None,
        *,
        completion_ids: Sequence[int] | None = None,
    ) -> float | None:
        budget = self._budget(reference)
        if budget is None:
            return None
        if not text.strip():
            return 0.0
        length = self._length(text, completion_ids)
        return min(1.0, budget / length) if length else 0.0

    def _budget(self, reference: Any) -> float | None:
        if self.budget is not None:
            return self.budget
        accepted = reference if isinstance(reference, list | tuple) else [reference]
        lengths = [self._length(str(one), None) for one in accepted if one is not None]
        return self.ratio * max(lengths) if any(lengths) else None

    def _length(self, text: str, completion_ids: Sequence[int] | None) -> int:
        if self.unit == "characters":
            return sum(not c.isspace() for c in plain_form(text))
        return length_in(self.unit, text, completion_ids)
