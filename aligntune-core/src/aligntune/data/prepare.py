"""From rows as read to rows as the algorithm's contract has them; what is left out is counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aligntune.config import DatasetConfig
from aligntune.data.apply import apply
from aligntune.data.contract import CONTRACTS, Made
from aligntune.data.formats.base import LeaveOut
from aligntune.data.load import load_rows
from aligntune.data.mix import columns_of, hold_out, limit, mix, same_columns, together
from aligntune.data.processing import NOT_RETURNED, processed, renamed
from aligntune.data.report import DataReport
from aligntune.data.rows import EXAMPLES, Normaliser, make_normaliser
from aligntune.data.stream import prepare_stream
from aligntune.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

__all__ = ["DataReport", "Prepared", "follow", "prepare"]

logger = logging.getLogger("aligntune")


@dataclass
class Prepared:
    """Rows that meet a contract, and the report of each data set they came from."""

    rows: Dataset | IterableDataset
    reports: list[DataReport]
    held_out: Dataset | None = None
    """Rows to evaluate on, which `val_size` took from those to train on."""
    partial: dict[str, list[str]] = field(default_factory=dict)
    """Columns that were left out because not all data sets have them -> those that do not."""


def prepare(
    configs: Sequence[DatasetConfig], contract: str, *, keep_columns: bool = False, seed: int = 0
) -> Prepared:
    """Load and normalise data sets, hold out rows to evaluate on, and put the others together.

    Args:
        configs: at least one data set.
        contract: its name (see `aligntune.data.contract`).
        keep_columns: keep every other column too, for rewards and evaluators.
        seed: draws the rows that are held out, and rows by the weights of their data sets.

    Raises:
        DataError: if a data set cannot be read, lacks a column, is empty, or nothing of it can be
            used; names the data set, and the columns there are.
    """
    parts, held_out, reports = [], [], []
    for config in configs:
        # Evaluators read columns that training does not.
        keep = keep_columns or config.val_size is not None
        rows, report = _prepare_one(config, contract, keep)
        rows, some = hold_out(rows, config, seed)
        report.held_out = 0 if some is None else len(some)
        if not config.streams:
            logger.log(
                logging.WARNING if report.left_out or report.cut else logging.INFO, "%s", report
            )
        parts.append(rows if keep == keep_columns else _own_columns(rows, config, contract))
        held_out += [] if some is None else [some]
        reports.append(report)
    kinds = {report.shape for report in reports}
    if len(kinds) > 1:
        said = "; ".join(f"{report.name}: {report.shape}" for report in reports)
        raise DataError(f"data sets that are trained on together need one shape: {said}")
    parts, partial = same_columns(parts, configs, CONTRACTS[contract].columns)
    mixed, drawn = mix(parts, configs, seed)
    for report, count in zip(reports, drawn or (), strict=False):
        report.drawn = count
        trained = report.kept - report.held_out
        logger.info("%s: %d rows drawn, %d repeats", report.name, count, count - trained)
    return Prepared(mixed, reports, together(held_out, configs) if held_out else None, partial)


def _prepare_one(
    config: DatasetConfig, contract: str, keep_all: bool
) -> tuple[Dataset | IterableDataset, DataReport]:
    if config.streams:
        return prepare_stream(config, contract, keep_columns=keep_all)
    rows = load_rows(config)
    if len(rows) == 0:
        raise DataError(f"{config.label}: the data set is empty")
    read = limit(rows, config)
    rows, normaliser = _ready(read, config, contract, keep_all)
    made = apply(rows, normaliser, config.dataset_num_proc)
    # A batched processing_fn may return fewer rows than it was given, or more.
    fewer = max(0, len(read) - len(rows))
    return made.rows, DataReport(
        config.label,
        len(rows) + fewer,
        len(made.rows),
        normaliser.shape,
        normaliser.why,
        {**({NOT_RETURNED: fewer} if fewer else {}), **made.left_out},
        made.cut,
    )


def _ready(
    rows: Dataset, config: DatasetConfig, contract: str, keep_all: bool
) -> tuple[Dataset, Normaliser]:
    """Rows with the columns that are expected, and what makes them meet the contract."""
    rows = processed(rows, config)
    rows = renamed(rows, rows.column_names, config)
    examples = [rows[index] for index in range(min(len(rows), EXAMPLES))]
    return rows, make_normaliser(
        config, contract, rows.column_names, examples, keep_columns=keep_all
    )


def follow(
    rows: Dataset, config: DatasetConfig, contract: str, *, keep_columns: bool = False
) -> Iterator[Made | LeaveOut]:
    """What becomes of rows that were read, one by one, those that are left out among them.

    Raises:
        DataError: as `prepare`.
    """
    rows, normaliser = _ready(rows, config, contract, keep_columns)
    for index, row in enumerate(rows):
        try:
            yield normaliser(row, index)
        except LeaveOut as out:
            yield out


def _own_columns(rows: Dataset | IterableDataset, config: DatasetConfig, contract: str) -> Any:
    """The rows with the columns of the contract, and those that `preserve_columns` names."""
    own = (*CONTRACTS[contract].columns, *(config.preserve_columns or ()))
    return rows.select_columns([name for name in columns_of(rows) if name in own])
