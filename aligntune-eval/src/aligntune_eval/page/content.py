"""What the page shows, made of results and comparisons: tables first, then the rows behind them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.redact import redact
from aligntune.run.report_data import number
from aligntune_eval.comparing.compare import compare
from aligntune_eval.page.plots import Axis, interval_plot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aligntune.evaluation import Metric
    from aligntune_eval.comparing.comparison import Comparison, Difference
    from aligntune_eval.files.reading import Result, Row

__all__ = ["Task", "contents"]

_LONGEST_TEXT = 20_000
_MINUS = "\u2212"
_ARROWS: dict[bool | None, str] = {True: "\u2191", False: "\u2193", None: ""}


@dataclass
class Task:
    """One task: its models, its table of numbers, its differences, and the rows of each model."""

    name: str
    results: list[Result]
    numbers: list[dict[str, Any]] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)
    questions: list[list[str]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def models(self) -> list[str]:
        return [_text(result.model) for result in self.results]

    @property
    def index(self) -> dict[str, Any]:
        """What the script has to know before it opens the rows."""
        metrics = [
            {
                "name": name,
                "better": next((m.higher_is_better for _, m in group), None),
                "models": {place: _made_of(metric, result) for (place, metric), result in
                           ((pair, self.results[pair[0]]) for pair in group)},
            }
            for name, group in self.by_metric().items()
        ]  # fmt: skip
        return {"name": self.name, "models": self.models, "metrics": metrics}

    def by_metric(self) -> dict[str, list[tuple[int, Metric]]]:
        """The metrics by name, each with the places of the models that have it."""
        found: dict[str, list[tuple[int, Metric]]] = {}
        for place, result in enumerate(self.results):
            for metric in result.metrics:
                found.setdefault(metric.name, []).append((place, metric))
        return found


def contents(results: Sequence[Result], comparisons: Sequence[Comparison] | None) -> list[Task]:
    """The tasks of a page, in the order of the results.

    Raises:
        EvaluationError: if there is nothing to show, or two results have one name.
    """
    held = [r for comparison in comparisons or () for r in comparison.results]
    known = {(result.task, result.files) for result in held if result.files}
    rest = [r for r in results if not r.files or (r.task, r.files) not in known]
    by_task: dict[str, dict[str, Result]] = {}
    for result in (*held, *rest):
        shown = by_task.setdefault(result.task, {}).setdefault(result.model, result)
        if shown is not result and shown != result:
            raise EvaluationError(
                f"{result.task}: two results are called {result.model}, and only one could be "
                "shown; name them apart: dataclasses.replace(result, model=...)"
            )
    if not by_task:
        raise EvaluationError("there are no results to make a page of")
    tasks = [Task(name, list(models.values())) for name, models in by_task.items()]
    for task in tasks:
        _fill(task, comparisons)
    return tasks


def _fill(task: Task, comparisons: Sequence[Comparison] | None) -> None:
    task.numbers = list(_numbers(task))
    task.settings = [_settings(result) for result in task.results]
    task.questions, task.rows = _rows(task.results)
    for comparison in _comparisons(task, comparisons):
        task.differences += _differences(task, comparison)
        task.notes += [_text(note) for note in comparison.notes if _text(note) not in task.notes]
    if not task.notes:
        task.notes = [_text(f"{r.model}: {note}") for r in task.results for note in r.notes]


def _comparisons(task: Task, given: Sequence[Comparison] | None) -> Iterable[Comparison]:
    if given is not None:
        yield from (comparison for comparison in given if comparison.task == task.name)
        return
    first, *others = task.results
    for other in others:
        try:
            yield compare(first, other)
        except EvaluationError as error:
            task.notes.append(_text(f"not compared: {error}"))


def _numbers(task: Task) -> Iterable[dict[str, Any]]:
    """One line for each metric and model; the models of a metric share an axis."""
    for place, (name, group) in enumerate(task.by_metric().items()):
        axis = Axis([(m.value, m.low, m.high) for _, m in group])
        for nth, (model, metric) in enumerate(group):
            interval = _interval(metric.low, metric.high)
            said = f"{task.models[model]}: {number(metric.value)}, 95 % interval {interval}"
            span = (metric.value, metric.low, metric.high)
            yield {
                "metric": name,
                "of": len(group) if nth == 0 else 0,
                "place": place,
                "model": model,
                "name": task.models[model],
                "value": number(metric.value),
                "unit": metric.unit,
                "stderr": number(metric.stderr, 2),
                "n": number(metric.n),
                "interval": interval,
                "plot": interval_plot(span, axis, said, model),
                "arrow": _ARROWS[metric.higher_is_better],
                "rows": bool(_made_of(metric, task.results[model])),
                "details": _details(metric),
            }


def _details(metric: Metric) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if metric.combine is not None:
        ways = {
            "mean": f"the mean of {metric.combine.top} over rows",
            "ratio": f"sum of {metric.combine.top} / sum of {metric.combine.bottom}",
            "exp_ratio": f"exp(sum of {metric.combine.top} / sum of {metric.combine.bottom})",
            "corpus": "computed from all completions together; a row's value does not add up to it",
        }
        found["made of rows"] = ways[metric.combine.kind]
    return found | dict(redact(dict(metric.details)))


def _settings(result: Result) -> dict[str, Any]:
    """Everything that is known of how a model was measured."""
    facts: dict[str, Any] = dict(redact(dict(result.settings)))
    if result.available is not None:
        facts["rows measured"] = f"{len(result.rows)} of {result.available}"
    if result.files:
        facts["files"] = ", ".join(str(path) for path in result.files)
    return {"model": _text(result.model), "facts": facts}


def _differences(task: Task, comparison: Comparison) -> list[dict[str, Any]]:
    found = []
    names = list(task.by_metric())
    places = {result.model: place for place, result in enumerate(task.results)}
    for d in comparison.differences:
        axis = Axis([(d.value, d.low, d.high)], zero=True)
        interval = _interval(d.low, d.high, signed=True)
        pair = f"{_text(d.metric)}: {_text(comparison.second)} minus {_text(comparison.first)}"
        plot = interval_plot((d.value, d.low, d.high), axis, f"{pair}, {interval}")
        found.append(
            {
                "metric": d.metric,
                "place": names.index(d.metric),
                "first": places[comparison.first],
                "second": places[comparison.second],
                "value": _signed(d.value),
                "stderr": number(d.stderr, 2),
                "interval": interval,
                "plot": plot,
                "verdict": d.verdict,
                "n": number(d.n) if d.interval else "",
                "counts": _counts(d),
                "p": number(d.p, 2) if d.p is not None else "",
                "method": d.method,
                "changed": len(comparison.changed(d.metric)),
                "between": f"{_text(comparison.second)} {_MINUS} {_text(comparison.first)}",
            }
        )
    return found


def _counts(d: Difference) -> str:
    return f"{d.better:,} / {d.worse:,} / {d.equal:,}" if d.better + d.worse + d.equal else ""


def _made_of(metric: Metric, result: Result) -> dict[str, Any] | None:
    """How the script makes the metric of rows; None where there are no rows to show."""
    if not result.rows:
        return None
    combine = metric.combine
    if combine is not None and combine.kind != "corpus":
        return {"kind": combine.kind, "top": combine.top, "bottom": combine.bottom}
    kind = "corpus" if combine is not None else "unknown"
    return {"kind": kind, "top": metric.name, "bottom": ""}


def _rows(results: Sequence[Result]) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """The questions of a task, and what each model said to them; a question stands once."""
    places: dict[tuple[str, int], int] = {}
    questions: list[list[str]] = []
    found = []
    for result in results:
        times: Counter[str] = Counter()
        names = list(dict.fromkeys(name for row in result.rows for name in row.values))
        rows = []
        for row in result.rows:
            key = (row.key, times[row.key])
            times[row.key] += 1
            if key not in places:
                places[key] = len(questions)
                questions.append([_cut(row.prompt), _cut(row.reference)])
            rows.append(_row(row, places[key], questions[places[key]][0], names))
        found.append({"names": names, "rows": rows})
    return questions, found


def _row(row: Row, question: int, prompt: str, names: list[str]) -> list[Any]:
    own = _cut(row.prompt)
    values = [row.values.get(name) for name in names]
    texts = [_cut(text) for text in row.completions]
    others = {name: _cut(text) for name, text in row.texts.items()}
    return [question, row.index, texts, values, None if own == prompt else own, others]


def _cut(text: str) -> str:
    more = len(text) - _LONGEST_TEXT
    said = f"… ({more:,} more characters in the file of samples)"
    return text if more <= 0 else text[:_LONGEST_TEXT] + said


def _interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    if low is None or high is None:
        return ""
    shown = _signed if signed else number
    return f"{shown(low)} to {shown(high)}"


def _signed(value: float) -> str:
    text = number(abs(value))
    return text if value == 0 else f"{_MINUS if value < 0 else '+'}{text}"


def _text(value: object) -> str:
    return str(redact(str(value)))
