"""One reward in a weighted sum: what is done to its values, and what it needs of the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from aligntune.errors import ConfigError, DataError
from aligntune.scoring.normalize import Normalize
from aligntune.scoring.protocol import RewardFunction
from aligntune.scoring.references import REFERENCE_COLUMNS, listed

__all__ = ["Clip", "Part", "reads_reference", "require", "with_names_of_their_own"]

Clip = float | Sequence[float]


@dataclass(frozen=True)
class Part:
    """One reward in a weighted sum.

    `normalize`: true shifts and scales values by their running mean and standard deviation,
    `"batch"` and `"group"` by those of the batch or of the completions of one prompt, `"range"` by
    the range of the reward, to [0, 1].
    `clip`: c > 0 limits values to [-c, c]; a pair [low, high] to that interval.
    `shield`: where the raw value is below `shield_threshold`, the row's total is at most
    `shield_value`. The part counts in the sum as any other; give it weight 0 if it should not.
    `reference_column`: the column this part compares with, if not that of the scorer.

    Raises:
        ConfigError: if the weight is not finite, the clip is no interval, or values are to be
            normalized by a range that the reward does not declare.
    """

    name: str
    reward: RewardFunction
    weight: float = 1.0
    clip: Clip | None = None
    shield: bool = False
    shield_threshold: float = 0.5
    shield_value: float = 0.0
    reference_column: str | None = None
    normalize: Normalize = False

    def __post_init__(self) -> None:
        if not isinstance(self.reward, RewardFunction):
            raise ConfigError(
                f"reward {self.name!r} is a {type(self.reward).__name__}; make it a reward with "
                "aligntune.scoring.as_reward"
            )
        for field in ("weight", "shield_threshold", "shield_value"):
            if not math.isfinite(getattr(self, field)):
                raise ConfigError(f"reward {self.name!r}: {field} must be a finite number")
        if self.clip is not None:
            self._limits(self.clip)
        low, high = self.reward.range
        if self.normalize == "range" and not (math.isfinite(high - low) and low < high):
            raise ConfigError(
                f"reward {self.name!r}: normalize is 'range', and the reward declares the range "
                f"{low:g} to {high:g}; normalize with true, batch or group instead"
            )

    def weighing(self, weight: float) -> Part:
        """The same reward with another weight."""
        return replace(self, weight=weight)

    def _limits(self, clip: Clip) -> tuple[float, float]:
        limits = (-clip, clip) if isinstance(clip, int | float) else tuple(clip)
        if len(limits) != 2 or not limits[0] < limits[1]:
            raise ConfigError(
                f"reward {self.name!r}: clip is {clip!r}; it is a number above 0, or [low, high] "
                "with low < high"
            )
        return limits[0], limits[1]

    def weighted(self, value: float) -> float:
        """The contribution of a (normalized) value to the sum: clipped, then weighted."""
        if self.clip is not None:
            low, high = self._limits(self.clip)
            value = min(max(value, low), high)
        return self.weight * value


def with_names_of_their_own(parts: Iterable[Part], taken: set[str]) -> tuple[Part, ...]:
    """Parts of the same name get `_2`, `_3` and so on."""
    parts = tuple(parts)
    given = {part.name for part in parts}
    named: list[Part] = []
    for part in parts:
        name, count = part.name, 1
        while name in taken or (count > 1 and name in given):
            count += 1
            name = f"{part.name}_{count}"
        taken.add(name)
        named.append(replace(part, name=name))
    return tuple(named)


def reads_reference(reward: RewardFunction) -> bool:
    """Whether a reward requires a reference, or would take one."""
    takes = reward.accepts
    return "reference" in reward.needs | takes.names or takes.everything


def require(part: Part, present: frozenset[str], reference: str | None) -> None:
    """Check that columns, and a reference column or none, meet what a part requires.

    Raises:
        DataError: naming the reward, what it lacks, and the columns there are.
    """
    missing = sorted(part.reward.needs - present - {"reference"})
    if missing:
        raise DataError(
            f"reward {part.name!r} needs the column {', '.join(map(repr, missing))}; "
            f"{listed(present)}"
        )
    if "reference" in part.reward.needs and reference is None:
        raise DataError(
            f"reward {part.name!r} needs a reference, and the data have none of the columns "
            f"{', '.join(REFERENCE_COLUMNS)}; {listed(present)}. Name the right one with "
            "params.reference_column"
        )
