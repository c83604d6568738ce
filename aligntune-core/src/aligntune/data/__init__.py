"""From a data set's name to rows that meet the column contract of an algorithm."""

from __future__ import annotations

from aligntune.data.contract import CONTRACTS, Contract
from aligntune.data.formats import FORMATS, Format, LeaveOut
from aligntune.data.load import load_rows
from aligntune.data.prepare import DataReport, Prepared, follow, prepare
from aligntune.data.rows import Normaliser, make_normaliser

__all__ = [
    "CONTRACTS",
    "FORMATS",
    "Contract",
    "DataReport",
    "Format",
    "LeaveOut",
    "Normaliser",
    "Prepared",
    "follow",
    "load_rows",
    "make_normaliser",
    "prepare",
]
