"""Draws the page: the tables as HTML that needs no script, the rows as data for the script."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
from typing import TYPE_CHECKING

from aligntune.run.pages import embedded, script_hash, unified
from aligntune.run.report_data import number
from aligntune_eval.page.content import contents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune_eval.comparing.comparison import Comparison
    from aligntune_eval.files.reading import Result

__all__ = ["draw"]


def draw(results: Sequence[Result], comparisons: Sequence[Comparison] | None) -> str:
    """The page as HTML.

    Raises:
        EvaluationError: if there is nothing to show.
    """
    import jinja2

    tasks = contents(results, comparisons)
    script = _template("page.js")
    templates = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(json=embedded, number=number)
    page = templates.get_template("page.html.j2").render(
        tasks=tasks,
        models=list(dict.fromkeys(model for task in tasks for model in task.models)),
        compared=bool(comparisons),
        index=[task.index for task in tasks],
        css=_style_of_reports() + _template("page.css"),
        script=script,
        hash=script_hash(script),
        version=importlib.metadata.version("aligntune-eval"),
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # a name with half of a surrogate pair


def _template(name: str) -> str:
    folder = importlib.resources.files("aligntune_eval.page") / "templates"
    return unified((folder / name).read_text(encoding="utf-8"))


def _style_of_reports() -> str:
    """The style of the reports of runs, so that both look alike."""
    folder = importlib.resources.files("aligntune.run") / "templates"
    return unified((folder / "report.css").read_text(encoding="utf-8"))
