"""The curves of the report, as plotly figures.

Colours of text and grid are set by the page, which follows the reader's light or dark scheme.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.run.files import as_number

if TYPE_CHECKING:
    from aligntune.run.report_data import Measured, RunData, Series

__all__ = ["Chart", "evaluation_charts", "evolution_charts", "metric_charts", "other_charts"]

_COLOURS = ("#4f7fe0", "#e0803a", "#2fa084", "#b8619f", "#9a8c2c", "#5aa9c9", "#c8585a", "#7d74d4")
_MOST_POINTS = 2000
# Title, caption, metric, and the two metrics that bound its band (or one: plus and minus).
_KNOWN: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("KL divergence", "policy from reference, per token", "kl", ()),
    ("Entropy", "of the policy, per token", "entropy", ()),
    (
        "Completion length",
        "tokens: mean, with shortest and longest",
        "completions/mean_length",
        ("completions/min_length", "completions/max_length"),
    ),
    ("Token accuracy", "share of tokens predicted right", "mean_token_accuracy", ()),
    ("Gradient norm", "before clipping", "grad_norm", ()),
    ("Learning rate", "", "learning_rate", ()),
)


@dataclass(frozen=True)
class Chart:
    """One figure with its title; `figure` is what plotly.js draws."""

    title: str
    caption: str
    figure: dict[str, Any]


class _Figure:
    """A figure as plotly.js reads it; plotly's own figures check each of their many parts anew."""

    def __init__(self) -> None:
        self.data: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {}

    def add_scatter(self, **parts: Any) -> None:
        """Add a line, or an area."""
        self.data.append({"type": "scatter", **parts})

    def as_dict(self) -> dict[str, Any]:
        """The figure in JSON values; there is no point where a number is not finite."""
        for trace in self.data:
            trace["y"] = [None if y is None or not math.isfinite(y) else y for y in trace["y"]]
        return {"data": self.data, "layout": self.layout}


def metric_charts(data: RunData) -> list[Chart]:
    """Loss, reward, each reward, and the known metrics that this run has."""
    found = [
        _chart(data, "Loss", _loss_caption(data), "loss"),
        _chart(
            data, "Reward", "weighted sum: mean ± standard deviation", "reward", ("reward_std",)
        ),
        _rewards(data),
        *(_chart(data, title, caption, key, band) for title, caption, key, band in _KNOWN),
    ]
    return [chart for chart in found if chart is not None]


def other_charts(data: RunData) -> list[Chart]:
    """Every other metric that was logged more than once."""
    shown = {"loss", "reward", "reward_std"}
    for _, _, key, band in _KNOWN:
        shown |= {key, *band}
    shown |= {f"eval_{key}" for key in shown} | set(_reward_means(data)) | data.logged_twice()
    found = [_chart(data, key, "", key) for key in data.metric_names() if key not in shown]
    return [chart for chart in found if chart is not None]


def evaluation_charts(groups: list[Measured]) -> list[Chart]:
    """One figure per metric and data set that was measured more than once."""
    return [_evaluation(group) for group in groups if len(group.records) > 1]


def evolution_charts(data: RunData) -> list[Chart]:
    """What Meta-ES found, by iteration: the fitness of its candidates, and what evolves."""
    lines = [line for line in data.iterations if as_number(line.get("iteration")) is not None]
    if not lines:
        return []
    shown = {"mean of the candidates": "fitness", "best so far": "best"}
    shown |= {"fittest candidate": "highest", "least fit candidate": "lowest"}
    fitness = {name: _by_iteration(lines, key) for name, key in shown.items()}
    found = [_of_iterations("Fitness", "of the candidates of each iteration", fitness)]
    evolved = [{"iteration": line["iteration"], **(line.get("parameters") or {})} for line in lines]
    names = list(dict.fromkeys(name for line in evolved for name in line if name != "iteration"))
    if names:
        weights = {name: _by_iteration(evolved, name) for name in names}
        found.append(_of_iterations("Evolved weights", "between the candidates", weights))
    return found


def _by_iteration(lines: list[dict[str, Any]], key: str) -> Series:
    points = [(as_number(line.get("iteration")), as_number(line.get(key))) for line in lines]
    return [(at, value) for at, value in points if at is not None and value is not None]


def _of_iterations(title: str, caption: str, lines: dict[str, Series]) -> Chart:
    figure = _Figure()
    for index, (name, points) in enumerate(lines.items()):
        _add_line(figure, points, name, _COLOURS[index % len(_COLOURS)])
    _layout(figure, legend=True)
    figure.layout["xaxis"]["title"]["text"] = "iteration"
    return Chart(title, caption, figure.as_dict())


def _chart(
    data: RunData, title: str, caption: str, key: str, band: tuple[str, ...] = ()
) -> Chart | None:
    figure = _Figure()
    points, evaluated = data.series(key), data.series(f"eval_{key}")
    if len(points) < 2 and len(evaluated) < 2:
        return None
    if band:
        _add_band(figure, data, key, band)
    if points:
        _add_line(figure, points, key, _COLOURS[0])
    if evaluated:
        _add_line(figure, evaluated, f"eval_{key}", _COLOURS[1])
    _layout(
        figure, legend=len(points) > 0 and len(evaluated) > 0, scientific=key == "learning_rate"
    )
    return Chart(title, _thinned(caption, points), figure.as_dict())


def _loss_caption(data: RunData) -> str:
    return "training and evaluation" if data.series("eval_loss") else "training"


def _reward_means(data: RunData) -> list[str]:
    return [n for n in data.metric_names() if n.startswith("rewards/") and n.endswith("/mean")]


def _rewards(data: RunData) -> Chart | None:
    keys = [key for key in _reward_means(data) if len(data.series(key)) > 1]
    if not keys:
        return None
    figure = _Figure()
    for index, key in enumerate(keys):
        name = key.removeprefix("rewards/").removesuffix("/mean")
        _add_line(figure, data.series(key), name, _COLOURS[(index + 2) % len(_COLOURS)])
    _layout(figure, legend=True)
    return Chart("Each reward", "mean of the raw values, before weights", figure.as_dict())


def _add_line(figure: _Figure, points: Series, name: str, colour: str) -> None:
    points = _thin(points)
    figure.add_scatter(
        x=[step for step, _ in points],
        y=[value for _, value in points],
        name=name,
        mode="lines+markers" if len(points) <= 60 else "lines",
        line={"color": colour, "width": 2},
        marker={"size": 5},
    )


def _add_band(figure: _Figure, data: RunData, key: str, band: tuple[str, ...]) -> None:
    """An area around the line: between two metrics, or one metric above and below."""
    middle = dict(data.series(key))
    first, last = dict(data.series(band[0])), dict(data.series(band[-1]))
    points = []
    for step in sorted(middle.keys() & first.keys() & last.keys()):
        low = first[step] if len(band) > 1 else middle[step] - first[step]
        high = last[step] if len(band) > 1 else middle[step] + first[step]
        if math.isfinite(low + high):
            points.append((step, low, high))
    points = points[:: _stride(len(points))]
    if len(points) >= 2:
        _fill(figure, points, "rgba(79, 127, 224, 0.18)")


def _fill(figure: _Figure, points: list[tuple[float, float, float]], colour: str) -> None:
    """An area between the second and the third number, over the first."""
    outline = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    steps = [step for step, _, _ in points]
    figure.add_scatter(x=steps, y=[low for _, low, _ in points], name="low", **outline)
    figure.add_scatter(
        x=steps,
        y=[high for _, _, high in points],
        name="high",
        fill="tonexty",
        fillcolor=colour,
        **outline,
    )


def _evaluation(group: Measured) -> Chart:
    """The curve of one metric, in the band of its 95 % intervals.

    What the trained model measures stands beside the curve where the last step was measured too: it
    may be another checkpoint, the best one.
    """
    records = [r for r in group.records if _finite(r.get("value")) is not None]
    measured = {r.get("step") for r in records if r.get("when") == "during"}
    kept = [r for r in records if r.get("when") == "after" and r.get("step") in measured]
    curve = [r for r in records if r not in kept]
    figure = _Figure()
    banded = _add_intervals(figure, curve)
    _add_measured(figure, curve, "lines+markers", {"size": 7})
    if kept:
        _add_measured(figure, kept, "markers", {"size": 10, "symbol": "diamond-open"})
    _layout(figure, legend=False)
    parts = [
        *(["band: 95 % interval"] if banded else []),
        *(["diamond: the model kept"] * bool(kept)),
    ]
    return Chart(group.title.replace("_", " "), "; ".join(parts), figure.as_dict())


def _finite(value: object) -> float | None:
    number = as_number(value)
    return number if number is not None and math.isfinite(number) else None


def _add_intervals(figure: _Figure, records: list[dict[str, Any]]) -> bool:
    """Fill the area between the ends of the intervals; tell whether there are any."""
    known = [
        (as_number(r.get("step")) or 0.0, low, high)
        for r in records
        if (low := _finite(r.get("low"))) is not None
        and (high := _finite(r.get("high"))) is not None
    ]
    if len(known) < 2:
        return False
    _fill(figure, known, "rgba(47, 160, 132, 0.18)")
    return True


def _add_measured(figure: _Figure, records: list[dict[str, Any]], mode: str, marker: Any) -> None:
    figure.add_scatter(
        x=[as_number(r.get("step")) or 0.0 for r in records],
        y=[_finite(r.get("value")) for r in records],
        customdata=[_label(r) for r in records],
        hovertemplate="%{customdata}: %{y:.4g}<extra></extra>",
        mode=mode,
        line={"color": _COLOURS[2], "width": 2},
        marker={**marker, "color": _COLOURS[2]},
    )


def _label(record: dict[str, Any]) -> str:
    """When it was measured, on how many rows, and how far it may be off."""
    low, high = _finite(record.get("low")), _finite(record.get("high"))
    text = f"{record.get('when', '')}, n = {record.get('n', '?')}"
    return text if low is None or high is None else f"{text}, {low:.4g} to {high:.4g}"


def _layout(figure: _Figure, *, legend: bool, scientific: bool = False) -> None:
    figure.layout.update(
        height=260,
        margin={"l": 52, "r": 12, "t": 8, "b": 40},
        showlegend=legend,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        hovermode="x unified",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={"title": {"text": "step", "standoff": 6}, "zeroline": False, "automargin": True},
        yaxis={
            "zeroline": False, "automargin": True, "tickformat": ".2~e" if scientific else None,
            "rangemode": "tozero" if scientific else "normal",
        },
    )  # fmt: skip


def _stride(count: int) -> int:
    return max(1, math.ceil(count / _MOST_POINTS))


def _thin(points: Series) -> Series:
    stride = _stride(len(points))
    thinned = points[::stride]
    return thinned if stride == 1 or thinned[-1] == points[-1] else [*thinned, points[-1]]


def _thinned(caption: str, points: Series) -> str:
    stride = _stride(len(points))
    if stride == 1:
        return caption
    thinned = f"every {_ordinal(stride)} of {len(points):,} logged steps"
    return f"{caption}; {thinned}" if caption else thinned


def _ordinal(count: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(count % 10 if count // 10 % 10 != 1 else 0, "th")
    return f"{count}{ending}"
