"""Which column holds what a completion is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["REFERENCE_COLUMNS", "choose_reference", "listed"]

REFERENCE_COLUMNS = ("reference", "answer", "solution", "ground_truth", "response", "target")


def choose_reference(columns: Iterable[str], explicit: str | None = None) -> str | None:
    """The explicit column, else the first of `REFERENCE_COLUMNS` that is there, else None.

    Raises:
        DataError: if the explicit column is not among the columns.
    """
    present = set(columns)
    if explicit is not None:
        if explicit not in present:
            raise DataError(
                f"params.reference_column names {explicit!r}, which the data do not have; "
                f"{listed(present)}"
            )
        return explicit
    return next((name for name in REFERENCE_COLUMNS if name in present), None)


def listed(columns: Iterable[str]) -> str:
    """The columns there are, as half a sentence."""
    names = sorted(columns)
    return f"the columns are {', '.join(names)}" if names else "there are no other columns"
