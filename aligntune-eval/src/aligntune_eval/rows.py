"""Reads the rows to evaluate on, through the loader that training uses."""

from __future__ import annotations

from typing import Any

from aligntune.config import DatasetConfig
from aligntune.data import load_rows

__all__ = ["read_rows"]


def read_rows(
    name: Any, split: str = "train", subset: str | None = None, revision: str | None = None
) -> list[dict[str, Any]]:
    """The rows of a local file (JSON Lines, JSON, CSV, Parquet, ...) or of a data set on the hub.

    Args:
        name: the file, the name on the hub, or an object of `datasets`.
        split: split to read.
        subset: subset of a data set on the hub.
        revision: branch, tag or commit of a data set on the hub.

    Raises:
        DataError: if there is no such data set, or it cannot be read.
    """
    config = DatasetConfig(name=name, split=split, subset=subset, revision=revision)
    return [dict(row) for row in load_rows(config)]
