"""Prints comparisons in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from aligntune_eval.compare import Comparison

__all__ = ["print_comparisons"]


def print_comparisons(
    comparisons: Sequence[Comparison], *, rows: int = 5, console: Console | None = None
) -> None:
    """Print a table for each comparison, and the first `rows` rows that changed most."""
    raise NotImplementedError
