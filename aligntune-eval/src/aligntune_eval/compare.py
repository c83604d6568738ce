"""Compares two evaluations by paired difference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aligntune.evaluation import Evaluation
    from aligntune_eval.reading import Result, Row

__all__ = ["Change", "Comparison", "Difference", "compare", "compare_runs"]


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

    def as_dict(self) -> dict[str, Any]:
        """The difference as JSON values."""
        return asdict(self)


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


@dataclass(frozen=True)
class Comparison:
    """Two models, or two runs of one, on one task.

    `pairs`: rows that both have, the first's and the second's. `only_first`, `only_second`: how
    many rows have no partner. `notes`: what differs besides the model, in sentences.
    """

    task: str
    first: str
    second: str
    differences: tuple[Difference, ...]
    pairs: tuple[tuple[Row, Row], ...]
    only_first: int = 0
    only_second: int = 0
    notes: tuple[str, ...] = ()

    def difference(self, metric: str) -> Difference:
        """The difference of one metric.

        Raises:
            EvaluationError: if the two do not share it; names those they do.
        """
        raise NotImplementedError

    def changed(self, metric: str) -> list[Change]:
        """The rows whose value changed, largest change first; of equal ones, worse rows first."""
        raise NotImplementedError

    def as_dict(self, rows: int = 10) -> dict[str, Any]:
        """The comparison as JSON values, with the first `rows` changed rows of each metric."""
        raise NotImplementedError


def compare(
    first: Result | Evaluation, second: Result | Evaluation, *, seed: int = 0
) -> Comparison:
    """The paired difference of each metric that both have, second minus first.

    Rows are paired by what was asked, never by position alone; see `Row.key`.

    Args:
        first: the baseline: a `Result` (of `read_results` or `result_of`), or an `Evaluation`.
        second: what is compared with it.
        seed: of the bootstrap.

    Raises:
        EvaluationError: if the tasks differ, no row is in both, or rows do not say what was asked.
    """
    raise NotImplementedError


def compare_runs(paths: Sequence[str | Path], *, seed: int = 0) -> list[Comparison]:
    """Compare the evaluations at two or more paths, task by task, each with the first.

    One path with several models compares its models; several paths with one model each compare
    those; several paths with the same models compare each model with itself.

    Raises:
        EvaluationError: if there are not two things to compare; names what is there.
    """
    raise NotImplementedError
