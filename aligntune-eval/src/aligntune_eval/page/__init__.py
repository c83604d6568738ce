"""One self-contained HTML page: every number of an evaluation with the samples behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aligntune_eval.compare import Comparison
    from aligntune_eval.reading import Result

__all__ = ["write_page"]


def write_page(
    results: str | Path | Sequence[Result],
    path: str | Path,
    *,
    comparisons: Sequence[Comparison] = (),
) -> Path:
    """Write the page of `results` (objects, or a path that `read_results` reads) and return it.

    `comparisons` unset: each further model of a task is compared with its first.
    """
    raise NotImplementedError
