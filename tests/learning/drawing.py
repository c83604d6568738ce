"""Draws small line charts as SVG: panels side by side, each with a signal and a control.

Plain SVG, because pages need a few lines and no library. Each picture stands on a card of its own
colour, so that it can be read on a light page and on a dark one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

__all__ = ["Panel", "draw", "ticks"]

Points = list[tuple[float, float]]

WIDTH, HEIGHT = 250, 190  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 30, 36  # around what is plotted
LEGEND = 26

STYLE = """
.card { fill: #ffffff; stroke: #d7dbe0 } text { fill: #30363d } .small { fill: #59636e }
.grid { stroke: #e4e7eb } .line { fill: none; stroke-width: 2; stroke-linejoin: round }
.signal { stroke: #1f6feb } .control { stroke: #b35900; stroke-dasharray: 5 3 }
@media (prefers-color-scheme: dark) {
.card { fill: #1c2026; stroke: #3d444d } text { fill: #e6edf3 } .small { fill: #aab4bf }
.grid { stroke: #333a43 } .signal { stroke: #58a6ff } .control { stroke: #f0a35e } }
"""


@dataclass(frozen=True)
class Panel:
    """What is drawn in one frame.

    Attributes:
        title: what stands above it: the name of what goes up.
        across: what goes from left to right.
        signal: points of the run with something to learn, from left to right.
        control: those of the run without.
    """

    title: str
    across: str
    signal: Points
    control: Points


def draw(name: str, about: str, panels: list[Panel]) -> str:
    """The picture, as the text of an SVG file.

    Args:
        name: the title, for who cannot see the picture.
        about: the description, likewise.
        panels: at least one.
    """
    width, height = WIDTH * len(panels), HEIGHT + LEGEND
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = 'font-family="system-ui, sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {font}>',
        f"<title>{escape(name)}</title>",
        f"<desc>{escape(about)}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6"/>',
    ]
    for place, panel in enumerate(panels):
        parts += [f'<g transform="translate({place * WIDTH} 0)">', *_frame(panel), "</g>"]
    parts += [*_legend(HEIGHT + 8), "</svg>"]
    return "\n".join(parts) + "\n"


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers, of which the first is at most `low` and the last at least `high`."""
    span = (high - low) or abs(high) or 1.0
    rough = span / about
    unit = 10 ** math.floor(math.log10(rough))
    step = unit * next(round_one for round_one in (1, 2, 5, 10) if round_one * unit >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def _frame(panel: Panel) -> list[str]:
    both = panel.signal + panel.control
    rows = ticks(min(y for _, y in both), max(y for _, y in both))
    end = max(x for x, _ in both)
    columns = ticks(min(x for x, _ in both), end, about=3)

    def at(x: float, y: float) -> tuple[float, float]:
        right = (x - columns[0]) / (end - columns[0])
        up = (y - rows[0]) / (rows[-1] - rows[0])
        across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + right * across, 1), round(HEIGHT - BOTTOM - up * down, 1)

    parts = [f'<text x="{LEFT}" y="18" font-weight="600">{escape(panel.title)}</text>']
    for y in rows:
        left, level = at(columns[0], y)
        parts.append(
            f'<path class="grid" d="M{left} {level}H{WIDTH - RIGHT}"/>'
            f'<text class="small" x="{left - 6}" y="{level + 4}" text-anchor="end">{y:g}</text>'
        )
    for x in (column for column in columns if column <= end):
        place, _ = at(x, rows[0])
        parts.append(
            f'<text class="small" x="{place}" y="{HEIGHT - BOTTOM + 14}" '
            f'text-anchor="middle">{x:g}</text>'
        )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(
        f'<text class="small" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(panel.across)}</text>"
    )
    for kind, points in (("control", panel.control), ("signal", panel.signal)):
        path = "L".join(f"{x} {y}" for x, y in (at(*point) for point in points))
        parts.append(f'<path class="line {kind}" d="M{path}"/>')
    return parts


def _legend(y: int) -> list[str]:
    parts = []
    for kind, says, x in (("signal", "something to learn", LEFT), ("control", "control", 190)):
        parts.append(
            f'<path class="line {kind}" d="M{x} {y}h22"/>'
            f'<text x="{x + 28}" y="{y + 4}">{says}</text>'
        )
    return parts
