"""Reads the rows to evaluate on, through the loader that training uses."""

from __future__ import annotations

from typing import Any

from aligntune.config import DatasetConfig
from aligntune.data import load_rows

__all__ = ["read_rows"]


def read_rows(name: str, split: str = "train", subset: str | None = None) -> list[dict[str, Any]]:
    """The rows of a local file (JSON Lines, JSON, CSV, Parquet, ...) or of a data set on the hub.

    Raises:
        DataError: if there is no such data set, or it cannot be read.
    """
    loaded = load_rows(DatasetConfig(name=name, split=split, subset=subset))
    return [dict(row) for row in loaded]
