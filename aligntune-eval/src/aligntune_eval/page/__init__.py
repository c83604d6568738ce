"""One self-contained HTML page: every number of an evaluation with the samples behind it.

The page asks the network for nothing, and its content security policy forbids it to: the one script
that may run is named there by hash, so nothing that a model wrote can ever run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aligntune_eval.comparing.comparison import Comparison
    from aligntune_eval.files.reading import Result

__all__ = ["write_page"]


def write_page(
    results: str | Path | Sequence[Result],
    path: str | Path,
    *,
    comparisons: Sequence[Comparison] | None = None,
) -> Path:
    """Write the page of an evaluation and return its path.

    Args:
        results: what `read_results` or `result_of` returned, or a path that `read_results` reads.
        path: where the page goes; a folder that is not there is made.
        comparisons: the differences to show. Unset, each further model of a task is compared with
            its first. Evaluations that only a comparison holds are on the page too.

    Raises:
        EvaluationError: if there is nothing to show, two results of a task have the same model, or
            `results` cannot be read.
        RunError: if the page cannot be written.
    """
    from pathlib import Path

    from aligntune.run.files import replace_text
    from aligntune_eval.files.reading import read_results
    from aligntune_eval.page.drawing import draw

    found = read_results(results) if isinstance(results, str | Path) else list(results)
    target = Path(path).expanduser()
    replace_text(target, draw(found, comparisons))
    return target
