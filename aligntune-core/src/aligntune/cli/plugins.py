"""`aligntune plugins` and `aligntune rewards list`."""

from __future__ import annotations

from rich.markup import escape

from aligntune import plugins as installed
from aligntune.cli.console import out, print_json, table

__all__ = ["rewards", "show"]

_STYLE = {"loaded": "green", "failed": "red", "incompatible": "red", "disabled": "yellow"}


def show(*, as_json: bool) -> None:
    """List every installed plugin with what it provides, or why it does not."""
    records = installed.get().records
    if as_json:
        print_json([record.as_dict() for record in records])
        return
    if not records:
        out.print("no plugins are installed; pip install aligntune-trl brings the trainers")
        return
    shown = table("plugin", "distribution", "status", "provides")
    for record in records:
        provides = "; ".join(
            f"{kind}s: {', '.join(names)}" for kind, names in record.provides.items()
        )
        shown.add_row(
            record.owner.name,
            str(record.owner),
            f"[{_STYLE[record.status]}]{record.status}[/]",
            escape(provides or record.reason),
        )
    out.print(shown)


def rewards(*, as_json: bool) -> None:
    """List every registered reward."""
    entries = sorted(installed.get().rewards, key=lambda entry: entry.name)
    if as_json:
        print_json(
            [
                {
                    "name": entry.name,
                    "distribution": entry.owner.distribution,
                    "version": entry.owner.version,
                    "summary": entry.facts.summary,
                    "range": list(entry.facts.range),
                    "requires": list(entry.facts.requires),
                    "cost": entry.facts.cost,
                }
                for entry in entries
            ]
        )
        return
    if not entries:
        out.print(
            "no rewards are installed; pip install aligntune-rewards brings the built-in ones"
        )
        return
    shown = table("reward", "range", "needs", "what it measures", "from")
    for entry in entries:
        low, high = entry.facts.range
        needs = ", ".join(entry.facts.requires)
        shown.add_row(
            entry.name, f"{low:g} to {high:g}", needs, escape(entry.facts.summary), str(entry.owner)
        )
    out.print(shown)
