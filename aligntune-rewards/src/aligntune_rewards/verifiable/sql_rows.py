"""Rows of SQL results: from what data holds, and whether two sets of them are the same."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["ordered", "rows_of", "same_rows", "unpacked"]

Rows = list[tuple[Any, ...]]

# Strings, quoted names and comments: nothing in them is SQL.
_APART = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/", re.DOTALL
)
_ORDER_BY = re.compile(r"\border\s+by\b", re.IGNORECASE)
_KINDS = {type(None): 0, int: 1, float: 1, str: 2, bytes: 3}


def ordered(query: str) -> bool:
    """Whether a query sorts its result: it has an ORDER BY outside of all brackets."""
    depth, outer = 0, []
    for part in re.split(r"([()])", _APART.sub(" ", query)):
        depth += (part == "(") - (part == ")")
        if depth == 0:
            outer.append(part)
    return _ORDER_BY.search(" ".join(outer)) is not None


def rows_of(given: Any) -> Rows:
    """Rows that data hold: a list of rows, each a list of values, a mapping, or one value.

    Raises:
        TypeError: if it is no list. ValueError: if it holds what is no value of SQL.
    """
    if not isinstance(given, list | tuple):
        raise TypeError(f"expected is a {type(given).__name__}; it must be a list of rows")
    rows: Rows = []
    for row in given:
        values = row.values() if isinstance(row, Mapping) else row
        if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
            values = (values,)
        rows.append(tuple(int(v) if isinstance(v, bool) else v for v in values))
    for row in rows:
        for value in row:
            if type(value) not in _KINDS:
                raise ValueError(f"expected holds {value!r}, which is no value of SQL")
    return rows


def unpacked(rows: list[list[Any]]) -> Rows:
    """Rows as `sql_worker` sends them."""
    return [
        tuple(bytes.fromhex(v["bytes"]) if isinstance(v, dict) else v for v in row) for row in rows
    ]


def same_rows(ours: Rows, wanted: Rows, *, in_order: bool, tolerance: float) -> bool:
    """Whether two results hold the same rows, equally often, in the same order if that matters.

    1 and 1.0 are the same, 1 and '1' are not; a NULL is the same as another. `tolerance` is the
    difference of two numbers, absolute or relative to the larger one, that does not count.
    """
    if len(ours) != len(wanted):
        return False
    if not in_order:
        # Numbers that may differ say least of where a row belongs, so they sort last.
        inexact = {
            i for row in (*ours, *wanted) for i, value in enumerate(row) if type(value) is float
        }
        ours, wanted = (sorted(rows, key=lambda row: _key(row, inexact)) for rows in (ours, wanted))
    return all(_same_row(a, b, tolerance) for a, b in zip(ours, wanted, strict=True))


def _same_row(ours: tuple[Any, ...], wanted: tuple[Any, ...], tolerance: float) -> bool:
    return len(ours) == len(wanted) and all(
        _same(a, b, tolerance) for a, b in zip(ours, wanted, strict=True)
    )


def _same(ours: Any, wanted: Any, tolerance: float) -> bool:
    if _KINDS[type(ours)] != _KINDS[type(wanted)]:
        return False
    if float in (type(ours), type(wanted)):
        return ours == wanted or math.isclose(ours, wanted, rel_tol=tolerance, abs_tol=tolerance)
    return bool(ours == wanted)


def _key(row: tuple[Any, ...], inexact: set[int]) -> list[tuple[int, Any]]:
    exact = [value for i, value in enumerate(row) if i not in inexact]
    rest = [value for i, value in enumerate(row) if i in inexact]
    # Rows whose numbers differ in their last digits alone must come to stand at the same place.
    near = [(_KINDS[type(value)], _near(value)) for value in rest]
    return (
        [(_KINDS[type(v)], 0 if v is None else v) for v in exact]
        + near
        + [(_KINDS[type(v)], 0 if v is None else v) for v in rest]
    )


def _near(value: Any) -> Any:
    return 0 if value is None else float(f"{value:.6g}") if _KINDS[type(value)] == 1 else value
