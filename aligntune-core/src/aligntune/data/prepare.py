"""From rows as read to rows as the algorithm's contract has them; what is left out is counted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aligntune.config import DatasetConfig
from aligntune.data.apply import apply
from aligntune.data.load import load_rows
from aligntune.data.mix import hold_out, limit, mix, same_columns, together
from aligntune.data.processing import processed, renamed
from aligntune.data.rows import EXAMPLES, make_normaliser
from aligntune.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["DataReport", "Prepared", "prepare"]

logger = logging.getLogger("aligntune")


@dataclass
class DataReport:
    """What became of the rows of one data set."""

    name: str
    read: int
    kept: int
    shape: str
    why: str
    left_out: dict[str, int] = field(default_factory=dict)
    """How many rows are not trained on, by the reason."""
    cut: dict[str, int] = field(default_factory=dict)
    """From how many of the rows that were kept something was taken out, by what it was."""
    held_out: int = 0
    """How many of the rows that were kept are evaluated on instead of trained on."""
    drawn: int | None = None
    """How many rows were drawn by weight, repeats counted; None where none was drawn."""

    def __str__(self) -> str:
        text = f"{self.name}: {self.kept} of {self.read} rows ({self.why})"
        for reason, count in self.left_out.items():
            text += f"; left out {count}: {reason}"
        for what, count in self.cut.items():
            text += f"; taken out of {count}: {what}"
        if self.held_out:
            text += f"; held out {self.held_out} to evaluate on"
        return text


@dataclass
class Prepared:
    """Rows that meet a contract, and the report of each data set they came from."""

    rows: Dataset
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
        rows, report = _prepare_one(config, contract, keep_columns)
        rows, some = hold_out(rows, config, seed)
        report.held_out = 0 if some is None else len(some)
        logger.info("%s", report)
        if report.left_out or report.cut:
            logger.warning("%s", report)
        parts.append(rows)
        held_out += [] if some is None else [some]
        reports.append(report)
    kinds = {report.shape for report in reports}
    if len(kinds) > 1:
        said = "; ".join(f"{report.name}: {report.shape}" for report in reports)
        raise DataError(f"data sets that are trained on together need one shape: {said}")
    parts, partial = same_columns(parts, configs)
    mixed, drawn = mix(parts, configs, seed)
    for report, count in zip(reports, drawn or (), strict=False):
        report.drawn = count
        logger.info("%s: %d rows drawn of %d", report.name, count, report.kept - report.held_out)
    return Prepared(mixed, reports, together(held_out, configs) if held_out else None, partial)


def _prepare_one(
    config: DatasetConfig, contract: str, keep_all: bool
) -> tuple[Dataset, DataReport]:
    rows = load_rows(config)
    if len(rows) == 0:
        raise DataError(f"{config.label}: the data set is empty")
    rows = processed(limit(rows, config), config)
    rows = renamed(rows, rows.column_names, config)
    examples = [rows[index] for index in range(min(len(rows), EXAMPLES))]
    normaliser = make_normaliser(
        config, contract, rows.column_names, examples, keep_columns=keep_all
    )
    made = apply(rows, normaliser, config.dataset_num_proc)
    return made.rows, DataReport(
        config.label,
        len(rows),
        len(made.rows),
        normaliser.shape,
        normaliser.why,
        made.left_out,
        made.cut,
    )
