"""`aligntune plugins`."""

from __future__ import annotations

from rich.markup import escape

from aligntune import plugins as installed
from aligntune.cli.console import out, print_json, table

__all__ = ["show"]

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
