"""`aligntune rewards list` and `aligntune rewards describe`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.markup import escape

from aligntune import plugins as installed
from aligntune.cli.console import out, print_json, table
from aligntune.scoring.about import About, about, facts_of

__all__ = ["describe", "show"]

_HEADS = ("reward", "needs", "cost", "what it measures")
_NEEDS = 16  # characters of its column; a longer list is folded
_COST = {
    "inline": "microseconds to milliseconds, where it is called",
    "process": "worker processes, which are killed when they take too long",
    "model": "a forward pass of a model of its own",
}


def show(*, as_json: bool) -> None:
    """List every registered reward, group by group, and what would bring what is missing."""
    lines = [facts_of(entry) for entry in installed.get().rewards]
    lines.sort(key=lambda line: (line["distribution"], line["group"], line["name"]))
    if as_json:
        print_json(sorted(lines, key=lambda line: (line["name"], line["distribution"])))
        return
    if not lines:
        out.print(
            "no rewards are installed; pip install aligntune-rewards brings the built-in ones"
        )
        return
    cells = [_cells(line) for line in lines]
    widths = [max(map(len, column)) for column in zip(_HEADS, *cells, strict=True)]
    widths[1] = min(widths[1], _NEEDS)
    shown = table()
    for place, (line, row) in enumerate(zip(lines, cells, strict=True)):
        if place == 0 or _group(line) != _group(lines[place - 1]):
            if place:
                out.print(shown)
            # A table for each group, with columns as wide as those of the others.
            out.print(f"\n[bold]{escape(_group(line))}[/]", highlight=False)
            shown = table(*_HEADS)
            for column, width in zip(shown.columns[:-1], widths[:-1], strict=True):
                column.width = width
        shown.add_row(*map(escape, row), style=None if line["available"] else "dim")
    out.print(shown)
    for command in dict.fromkeys(line["install"] for line in lines if line["install"]):
        names = ", ".join(line["name"] for line in lines if line["install"] == command)
        _line(f"\n* needs more than is installed: {names}\n  {command}")


def _group(line: dict[str, Any]) -> str:
    """The heading that a reward stands under: its group, and whose it is."""
    owner = f"{line['distribution']} {line['version']}".strip()
    return f"{line['group']} ({owner})" if line["group"] else owner


def _cells(line: dict[str, Any]) -> tuple[str, ...]:
    name = line["name"] if line["available"] else f"{line['name']} *"
    needs = ", ".join(line["requires"])
    usual = line["range"] == [0.0, 1.0]
    about = line["summary"] if usual else f"{line['summary']}; {_range(line['range'])}"
    return name, needs, line["cost"], about


def describe(name: str, *, as_json: bool) -> None:
    """Say what a reward measures, what it needs and how it is set; no weight is loaded."""
    found = about(name, installed.get())
    if as_json:
        parameters = [asdict(parameter) for parameter in found.parameters]
        print_json(found.facts | {"parameters": parameters, "description": found.doc})
    else:
        _show(found)


def _show(found: About) -> None:
    out.print(f"[bold]{escape(found.facts['name'])}[/]", highlight=False)
    _line(found.facts["summary"])
    out.print()
    for label, text in _facts(found.facts):
        _line(f"{label:9} {text}")
    if found.parameters:
        shown = table("parameter", "type", "default", "means")
        for parameter in found.parameters:
            default = "(required)" if parameter.default is None else _short(parameter.default)
            row = (parameter.name, parameter.type, default, parameter.means)
            shown.add_row(*map(escape, row))
        out.print()
        out.print(shown)
    if found.doc:
        _line(f"\n{found.doc}")


def _facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What the manifest says, as far as it says anything."""
    said: list[tuple[str, str]] = []
    if "range" in facts:
        said.append(("range", f"{_range(facts['range'])}; higher is better"))
        said.append(("needs", ", ".join(facts["requires"]) or "nothing but the completion"))
        said.append(("cost", f"{facts['cost']}: {_COST[facts['cost']]}"))
    if facts.get("aliases"):
        said.append(("aliases", ", ".join(facts["aliases"])))
    if facts.get("packages"):
        here = "installed" if facts["available"] else f"not installed; {facts['install']}"
        said.append(("packages", f"{', '.join(facts['packages'])}: {here}"))
    if facts.get("group"):
        said.append(("group", facts["group"]))
    if facts.get("distribution"):
        said.append(("from", f"{facts['distribution']} {facts['version']}".strip()))
    said.append(("code", facts["target"] or "registered at run time"))
    if facts.get("docs"):
        said.append(("docs", facts["docs"]))
    return said


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _range(limits: list[float]) -> str:
    low, high = limits
    return f"{low:g} to {high:g}"


def _line(text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
