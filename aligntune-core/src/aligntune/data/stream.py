"""Rows that are normalised as they are read, by the same code as rows that are read at once.

They are counted as they go by. A stream is gone through again from its beginning whenever somebody
looks at its first rows, at every pass and when a run resumes; a row counts the first time only, so
that the counts are those of the rows that were reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aligntune.config import DatasetConfig
from aligntune.data.apply import kinds_of
from aligntune.data.formats.base import LeaveOut
from aligntune.data.load import load_rows
from aligntune.data.mix import columns_of, limit
from aligntune.data.processing import NOT_RETURNED, Processing, make_processing, renamed
from aligntune.data.report import DataReport
from aligntune.data.rows import EXAMPLES, Normaliser, make_normaliser
from aligntune.errors import DataError

if TYPE_CHECKING:
    from datasets import IterableDataset

__all__ = ["Passing", "prepare_stream"]


def prepare_stream(
    config: DatasetConfig, contract: str, *, keep_columns: bool = False
) -> tuple[IterableDataset, DataReport]:
    """A stream of rows that meet the contract, and the report that counts them as they go by.

    Its first rows are read to tell what they are, up to the first that can be used.

    Raises:
        DataError: as `prepare`; for what only later rows have, when they are reached.
    """
    rows = limit(load_rows(config), config)
    report = DataReport(config.label, 0, 0, "", "")
    function = make_processing(config)
    if function is not None and function.batched:
        rows = rows.map(Shrinking(function, report), with_indices=True, batched=True)
    elif function is not None:
        rows = rows.map(function, with_indices=True)
    columns = columns_of(rows)
    if not columns:
        raise DataError(f"{config.label}: the data set is empty")
    rows = renamed(rows, columns, config)
    columns = [config.column_mapping.get(name, name) for name in columns]
    examples = list(rows.take(EXAMPLES))
    normaliser = make_normaliser(config, contract, columns, examples, keep_columns=keep_columns)
    report.shape, report.why = normaliser.shape, normaliser.why
    # One row at a time, so that none is counted that is not used yet.
    passing = Passing(normaliser, report, columns)
    stream = rows.map(
        passing, with_indices=True, batched=True, batch_size=1, remove_columns=columns
    )
    if next(iter(stream), None) is None:
        raise DataError(f"{config.label}: none of the {report.read} rows can be used ({report})")
    return stream, report


class Shrinking:
    """Calls a batched function, and counts the rows that it does not return, the first time."""

    def __init__(self, function: Processing, report: DataReport) -> None:
        self.function = function
        self.report = report
        self._reached = 0

    def __call__(self, batch: Mapping[str, Any], indices: Sequence[int]) -> dict[str, Any]:
        made = self.function(batch, indices)
        if indices[-1] >= self._reached:
            self._reached = indices[-1] + 1
            returned = len(next(iter({**batch, **made}.values())))
            for _ in range(len(indices) - returned):
                self.report.read += 1
                self.report.count_left_out(NOT_RETURNED)
        return made


class Passing:
    """Normalises rows as they go by, and counts those that are seen for the first time."""

    def __init__(self, normaliser: Normaliser, report: DataReport, columns: Sequence[str]) -> None:
        self.normaliser = normaliser
        self.report = report
        self.columns = frozenset(columns)
        self._kinds: str | None = None
        self._reached = 0

    def __call__(
        self, batch: Mapping[str, Sequence[Any]], indices: Sequence[int]
    ) -> dict[str, list[Any]]:
        """The columns of the row that this one becomes; columns without a value if it is left out.

        Raises:
            DataError: if a column holds what cannot stand there, or rows are of different kinds.
        """
        (index,) = indices
        row = {name: values[0] for name, values in batch.items()}
        if not self.columns.issuperset(row):
            more = next(name for name in row if name not in self.columns)
            raise DataError(
                f"{self.normaliser.name}: row {index}: the column {more!r} is not in the first "
                f"rows; the columns there are: {', '.join(sorted(self.columns))}"
            )
        first = index >= self._reached
        if first:
            self._reached = index + 1
            self.report.read += 1
        try:
            made = self.normaliser(row, index)
        except LeaveOut as out:
            if first:
                self.report.count_left_out(out.reason)
            return {}
        if first:
            self._check_kinds(kinds_of(self.normaliser, made), index)
            self.report.count_kept(made.cut)
        return {name: [value] for name, value in made.row.items()}

    def _check_kinds(self, kinds: str, index: int) -> None:
        self._kinds = self._kinds or kinds
        if kinds != self._kinds:
            raise DataError(
                f"{self.normaliser.name}: rows are of different kinds: at first {self._kinds}, and "
                f"in row {index} {kinds}"
            )
