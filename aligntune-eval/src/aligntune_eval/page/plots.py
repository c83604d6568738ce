"""Intervals as inline SVG: a line from end to end and a dot, all of a metric on one axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Axis", "interval_plot"]

_WIDTH, _HEIGHT, _EDGE = 220, 22, 6

Span = tuple[float, float | None, float | None]
"""A value and the ends of its interval, where it has one."""


class Axis:
    """The range that a group of intervals is drawn on; it holds `zero` where that is asked for."""

    def __init__(self, spans: Sequence[Span], *, zero: bool = False) -> None:
        ends = [end for span in spans for end in span if end is not None]
        ends += [0.0] if zero else []
        self.low, self.high = min(ends), max(ends)
        self.zero = zero

    def place(self, value: float) -> float:
        """The x of a value; where all are equal, the middle."""
        width = self.high - self.low
        share = 0.5 if not math.isfinite(width) or width <= 0 else (value - self.low) / width
        return round(_EDGE + share * (_WIDTH - 2 * _EDGE), 2)


def interval_plot(span: Span, axis: Axis, label: str, colour: int = 0) -> Markup:
    """One interval as SVG; `label` is what a screen reader says of it."""
    value, low, high = span
    middle = _HEIGHT / 2
    parts = [f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{middle}" y2="{middle}"/>']
    if axis.zero:
        zero = axis.place(0.0)
        parts.append(f'<line class="zero" x1="{zero}" x2="{zero}" y1="1" y2="{_HEIGHT - 1}"/>')
    if low is not None and high is not None:
        ends = f'x1="{axis.place(low)}" x2="{axis.place(high)}"'
        parts.append(f'<line class="span" {ends} y1="{middle}" y2="{middle}"/>')
        for end in (axis.place(low), axis.place(high)):
            y = f'y1="{middle - 4}" y2="{middle + 4}"'
            parts.append(f'<line class="end" x1="{end}" x2="{end}" {y}/>')
    parts.append(f'<circle class="dot" cx="{axis.place(value)}" cy="{middle}" r="4"/>')
    frame = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    start = Markup('<svg class="plot-line colour-{}" {} role="img" aria-label="{}">')
    return start.format(colour % 6, Markup(frame), label) + Markup("".join(parts) + "</svg>")  # noqa: S704  numbers
