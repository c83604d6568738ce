"""From a data set's name to rows that meet the column contract of an algorithm."""

from __future__ import annotations

from aligntune.data.contract import CONTRACTS, Contract, Shape, find_shape
from aligntune.data.load import load_rows
from aligntune.data.prepare import DataReport, Prepared, prepare

__all__ = [
    "CONTRACTS",
    "Contract",
    "DataReport",
    "Prepared",
    "Shape",
    "find_shape",
    "load_rows",
    "prepare",
]
