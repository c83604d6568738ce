"""Draws the report: one self-contained page, made from the files of a run directory.

The page asks the network for nothing, and its content security policy forbids it to: the scripts
that may run are named there by hash, so that nothing a model wrote can ever run.
"""

from __future__ import annotations

import importlib.resources
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aligntune.run.pages import embedded, script_hash, unified
from aligntune.run.report_data import (
    RunData,
    cards,
    duration,
    measured,
    number,
    read_run,
    span,
    text,
)

if TYPE_CHECKING:
    from pathlib import Path

    import jinja2

    from aligntune.run.directory import RunDirectory
    from aligntune.run.report_charts import Chart

__all__ = ["write_report"]

_MOST_SAMPLES = 2000
_LONGEST_TEXT = 8000


def write_report(run: RunDirectory) -> Path:
    """Write `report.html` into the run directory and return its path.

    Missing files and a run that failed are no obstacle; the page says what is not there.
    """
    from plotly.offline import get_plotlyjs

    from aligntune.run import report_charts

    data = read_run(run)
    groups = measured(data)
    curves = [*report_charts.evolution_charts(data), *report_charts.metric_charts(data)]
    others = report_charts.other_charts(data)
    evaluation = report_charts.evaluation_charts(groups)
    scripts = [unified(get_plotlyjs()), _template("report.js")]
    template = _templates().get_template("report.html.j2")
    page = template.render(
        data=data,
        run=_headline(run, data),
        cards=cards(data),
        groups=groups,
        curves=curves,
        others=others,
        once=_logged_once(data),
        evaluation=evaluation,
        figures=_figures([*curves, *evaluation, *others]),
        samples=_samples(data),
        css=_template("report.css"),
        scripts=scripts,
        hashes=[script_hash(script) for script in scripts],
    )
    run.write_text(run.report, page)
    return run.report


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    """The page's templates, compiled once in a process."""
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(number=number, plain=_shown, sentence=_sentence, json=embedded)
    return templates


def _template(name: str) -> str:
    folder = importlib.resources.files("aligntune.run") / "templates"
    return unified((folder / name).read_text(encoding="utf-8"))


def _headline(run: RunDirectory, data: RunData) -> dict[str, Any]:
    """The facts at the top of the page; what `run.json` lacks is taken from the plan."""
    said = data.status
    status = said.get("status") or "unknown"
    seconds = duration(data)
    return {
        "name": said.get("name") or run.path.resolve().name,
        "status": status,
        "algorithm": said.get("algorithm") or data.plan.get("algorithm") or "",
        "backend": said.get("backend") or data.plan.get("backend") or "",
        "why": said.get("why") or data.plan.get("why") or "",
        "started": said.get("started") or "",
        "duration": "" if seconds is None else span(seconds),
        "earlier": len(said.get("earlier", [])),
        "error": said.get("error") or "",
        "traceback": said.get("traceback") or "",
        "version": said.get("version") or "",
    }


def _logged_once(data: RunData) -> dict[str, float]:
    """Metrics with a single value, such as the runtime; they make no curve."""
    found = {}
    for name in data.metric_names():
        points = [] if name in data.logged_twice() else data.series(name)
        if len(points) == 1:
            found[name] = points[0][1]
    return found


def _figures(charts: list[Chart]) -> list[Any]:
    return [chart.figure for chart in charts]


def _samples(data: RunData) -> dict[str, Any]:
    """The samples that the page holds: all, or as many as it can take, spread over the steps."""
    total = len(data.samples)
    stride = max(1, -(-total // _MOST_SAMPLES))
    return {
        "total": total,
        "rows": [
            {
                "step": record.get("step"),
                "prompt": _cut(text(record.get("prompt"))),
                "completion": _cut(text(record.get("completion"))),
                "reference": _cut(text(record.get("reference"))),
                "reward": record.get("reward"),
                "rewards": record.get("rewards") or {},
            }
            for record in data.samples[::stride]
        ],
    }


def _cut(long: str) -> str:
    more = len(long) - _LONGEST_TEXT
    return (
        long
        if more <= 0
        else f"{long[:_LONGEST_TEXT]}… ({more:,} more characters in samples.jsonl)"
    )


def _shown(value: object) -> str:
    """A value of the configuration as it stands in a table."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _sentence(item: object) -> str:
    """A warning or refusal, which is a sentence or a mapping of its parts."""
    if isinstance(item, dict):
        return ": ".join(str(part) for part in item.values() if part not in ("", None))
    return str(item)
