"""One measured number, together with how many rows it rests on and how far it may be off."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Combine", "Metric"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Combine:
    """How the values of the rows make the metric, so that two evaluations can be paired by row.

    `mean`: the mean of `top`. `ratio`: sum of `top` over sum of `bottom`. `exp_ratio`: e to that.
    `corpus`: no value of a row adds up; the metric has to be computed again from the completions.
    `top` and `bottom` are keys of a sample's `scores`, or of the sample itself; rows without them
    do not count.
    """

    kind: Literal["mean", "ratio", "exp_ratio", "corpus"]
    top: str = ""
    bottom: str = ""


@dataclass(frozen=True)
class Metric:
    """A value with its 95 % confidence interval.

    `value`: finite. `n`: rows that the value rests on, at least 1. `stderr`: standard error of
    `value`, in its unit. `low`, `high`: ends of the 95 % interval. `stderr`, `low` and `high` are
    None where the rows do not say (a mean over one row has no standard error). `details`: whatever
    is needed to read or repeat the measurement (tokens, window, interval method), JSON values.
    `combine`: how the rows make the value; None where that is not known.

    Raises:
        ValueError: if the value is not finite, `n` is below 1, or the interval is upside down.
    """

    name: str
    value: float
    n: int
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    details: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    higher_is_better: bool | None = None
    combine: Combine | None = None

    def __post_init__(self) -> None:
        for name in ("value", "stderr", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} of the metric {self.name!r} is {number}, not finite")
        if self.n < 1:
            raise ValueError(f"metric {self.name!r} rests on {self.n} rows")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"interval of the metric {self.name!r} is [{self.low}, {self.high}]")

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the 95 % interval, or None where there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def as_dict(self) -> dict[str, Any]:
        """The metric as JSON values."""
        return {
            "name": self.name,
            "value": self.value,
            "n": self.n,
            "stderr": self.stderr,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            "higher_is_better": self.higher_is_better,
            "details": dict(self.details),
            "combine": None if self.combine is None else asdict(self.combine),
        }
