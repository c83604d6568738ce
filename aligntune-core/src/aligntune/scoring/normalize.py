"""Shifts and scales the values of one reward, so that rewards of different units can be added.

Four ways: by the running mean and standard deviation of everything seen so far (Welford 1962, in
the form of Chan, Golub and LeVeque 1983 for batches), by those of the batch, by those of the
completions of one prompt, or by the range that the reward declares. Values that do not vary become
0: a standard deviation is never taken as smaller than `FLOOR`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aligntune.scoring.distributed import gathered

__all__ = ["FLOOR", "Moments", "Normalize", "Running", "by_range", "normalized"]

Normalize = bool | Literal["batch", "group", "range"]
Values = Sequence[float | None]

FLOOR = 1e-6
"""The smallest standard deviation that values are divided by, in the unit of the reward."""


@dataclass(frozen=True)
class Moments:
    """How many values there are, their mean, and the sum of their squared deviations from it."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> Moments:
        """The moments of some values."""
        if not values:
            return cls()
        # Deviations from the first value, so that equal values have a deviation of exactly 0.
        first = values[0]
        shift = math.fsum(value - first for value in values) / len(values)
        squares = math.fsum(_squared(value - first - shift) for value in values)
        return cls(len(values), first + shift, squares)

    def with_more(self, values: Sequence[float]) -> Moments:
        """The moments of these values and those so far."""
        more = Moments.of(values)
        if not more.count or not self.count:
            return more if more.count else self
        count, difference = self.count + more.count, more.mean - self.mean
        return Moments(
            count,
            self.mean + difference * more.count / count,
            self.squares + more.squares + _squared(difference) * self.count * more.count / count,
        )

    @property
    def deviation(self) -> float:
        """The standard deviation (over n, not n - 1); 0 where there are no values."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    def scaled(self, values: Values) -> list[float | None]:
        """(value - mean) / standard deviation, for each.

        Raises:
            ValueError: if values are so far apart that there is no deviation.
        """
        if not math.isfinite(self.deviation):
            raise ValueError(f"values around {self.mean:g} are too far apart to be normalized")
        over = max(self.deviation, FLOOR)
        return [None if value is None else (value - self.mean) / over for value in values]

    def as_dict(self) -> dict[str, float]:
        """As JSON values, from which `Moments(**values)` makes the same again."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}


def normalized(
    how: Literal["batch", "group"], values: Values, prompts: Sequence[Any] | None
) -> list[float | None]:
    """Values by the mean and standard deviation of the batch, or of the rows of one prompt.

    In a distributed run the batch is that of all processes.

    Raises:
        ValueError: for `"group"` where no prompts are given; or as `Moments.scaled` says.
    """
    if how == "batch":
        everywhere, _ = gathered(values)
        return Moments.of(_applied(everywhere)).scaled(values)
    if prompts is None:
        raise ValueError("normalize is 'group', and no prompts are given to group by")
    pairs, own = gathered(list(zip(values, prompts, strict=True)))
    return _by_group(*zip(*pairs, strict=True))[own] if pairs else []


def _by_group(values: Values, prompts: Sequence[Any]) -> list[float | None]:
    rows: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        rows.setdefault(json.dumps(prompt, sort_keys=True, default=str), []).append(index)
    found: list[float | None] = [None] * len(values)
    for indices in rows.values():
        group = [values[index] for index in indices]
        scaled = Moments.of(_applied(group)).scaled(group)
        for index, value in zip(indices, scaled, strict=True):
            found[index] = value
    return found


def by_range(values: Values, limits: tuple[float, float]) -> list[float | None]:
    """Values so that the ends of the range become 0 and 1."""
    low, high = limits
    return [None if value is None else (value - low) / (high - low) for value in values]


class Running:
    """The running moments of each reward that is normalized by them.

    `learning`: whether what is scored now counts; evaluation does not.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.moments = {name: Moments() for name in names}
        self.learning: Callable[[], bool] = _always

    def scaled(self, name: str, values: Values) -> list[float | None]:
        """Values by the moments of all so far; while learning, these values among them.

        In a distributed run these are the values of all processes.
        """
        if self.learning():
            everywhere, _ = gathered(values)
            self.moments[name] = self.moments[name].with_more(_applied(everywhere))
        return self.moments[name].scaled(values)

    def state_dict(self) -> dict[str, dict[str, float]]:
        """The moments as JSON values, by the name of the reward."""
        return {name: moments.as_dict() for name, moments in self.moments.items()}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on from moments that `state_dict` gave.

        Raises:
            ValueError: if they are of other rewards.
        """
        if set(state) != set(self.moments):
            raise ValueError(
                f"the state is of the rewards {', '.join(state) or 'none'}, and this run "
                f"normalizes {', '.join(self.moments) or 'none'}"
            )
        self.moments = {name: Moments(**state[name]) for name in self.moments}


def _squared(value: float) -> float:
    """Infinity, not an `OverflowError`, for what is too large."""
    return value * value


def _always() -> bool:
    return True


def _applied(values: Values) -> list[float]:
    return [value for value in values if value is not None]
