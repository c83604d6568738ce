"""What a comparison of two evaluations holds: differences, pairs of rows, and rows that changed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune_eval.files.reading import combined

if TYPE_CHECKING:
    from aligntune.evaluation import Combine
    from aligntune_eval.files.reading import Result, Row

__all__ = ["Change", "Comparison", "Difference", "has_values", "row_value", "same"]


@dataclass(frozen=True)
class Difference:
    """One metric, second minus first, over the rows that both have.

    `first`, `second`: the metric over these rows alone. `stderr`: of the difference. `low`, `high`:
    ends of its 95 % interval. `n`: pairs. `better`, `worse`, `equal`: rows by which of the two is
    better, as `higher_is_better` says; where that is None, `better` counts the higher ones. `p`:
    McNemar's exact two-sided p-value, of 0/1 values alone. `method`: where the interval is from, or
    why there is none.
    """

    metric: str
    first: float
    second: float
    value: float
    n: int
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    better: int = 0
    worse: int = 0
    equal: int = 0
    p: float | None = None
    method: str = ""
    higher_is_better: bool | None = None
    unit: str = ""
    combine: Combine | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the 95 % interval, or None where there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval does not hold 0, else `unclear`."""
        if self.interval is None or self.low <= 0 <= self.high:  # type: ignore[operator]
            return "unclear"
        if self.higher_is_better is None:
            return "higher" if self.value > 0 else "lower"
        return "better" if (self.value > 0) == self.higher_is_better else "worse"

    def as_dict(self) -> dict[str, Any]:
        """The difference as JSON values."""
        return {**asdict(self), "verdict": self.verdict}


@dataclass(frozen=True)
class Change:
    """One row whose value the two models do not share; `value` is second minus first."""

    first: Row
    second: Row
    before: float
    after: float

    @property
    def value(self) -> float:
        return self.after - self.before

    def as_dict(self) -> dict[str, Any]:
        """The change as JSON values."""
        return {
            "row": self.first.index,
            "prompt": self.first.prompt,
            "reference": self.first.reference,
            "before": self.before,
            "after": self.after,
            "first": list(self.first.completions),
            "second": list(self.second.completions),
        }


@dataclass(frozen=True)
class Comparison:
    """Two models, or two runs of one, on one task.

    `pairs`: rows that both have, the first's and the second's. `only_first`, `only_second`: how
    many rows have no partner. `notes`: what differs besides the model, in sentences. `results`: the
    two evaluations.
    """

    task: str
    first: str
    second: str
    differences: tuple[Difference, ...]
    pairs: tuple[tuple[Row, Row], ...]
    only_first: int = 0
    only_second: int = 0
    notes: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()

    def difference(self, metric: str) -> Difference:
        """The difference of one metric.

        Raises:
            EvaluationError: if the two do not share it; names those they do.
        """
        for difference in self.differences:
            if difference.metric == metric:
                return difference
        known = ", ".join(difference.metric for difference in self.differences)
        raise EvaluationError(f"{metric!r} is not compared; compared are: {known}")

    def changed(self, metric: str) -> list[Change]:
        """The rows whose value changed, largest change first; of equal ones, worse rows first."""
        difference = self.difference(metric)
        sign = -1.0 if difference.higher_is_better is False else 1.0
        found = []
        for first, second in self.pairs:
            before, after = row_value(difference, first), row_value(difference, second)
            if before is not None and after is not None and not same(before, after):
                found.append(Change(first, second, before, after))
        found.sort(key=lambda c: (-abs(c.value), sign * c.value, c.first.index))
        return found

    def as_dict(self, rows: int = 10) -> dict[str, Any]:
        """The comparison as JSON values, with the first `rows` changed rows of each metric."""
        return {
            "task": self.task,
            "first": self.first,
            "second": self.second,
            "pairs": len(self.pairs),
            "only_first": self.only_first,
            "only_second": self.only_second,
            "notes": list(self.notes),
            "differences": [
                {**d.as_dict(), "changed": [c.as_dict() for c in self.changed(d.metric)[:rows]]}
                for d in self.differences
            ],
        }


def row_value(difference: Difference, row: Row) -> float | None:
    """What one row says of a metric: its value, or the ratio of its parts."""
    combine = difference.combine
    if combine is None or combine.kind == "corpus":
        return row.values.get(difference.metric)
    if combine.kind == "mean":
        return row.values.get(combine.top)
    return combined(combine, [row]) if has_values(row, combine) else None


def has_values(row: Row, combine: Combine) -> bool:
    """Whether a row holds what a metric is made of."""
    if combine.kind == "corpus":
        return bool(row.completions)
    if combine.top not in row.values:
        return False
    return combine.kind == "mean" or row.values.get(combine.bottom, 0.0) > 0


def same(one: float, other: float) -> bool:
    """Whether two values differ by no more than rounding."""
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
