"""`aligntune info`."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from aligntune import plugins as installed
from aligntune.cli.console import out, print_json, table
from aligntune.hardware import Hardware
from aligntune.plan.resolve import unusable
from aligntune.run.record import environment

__all__ = ["show"]


def show(*, as_json: bool) -> None:
    """Show versions, hardware, and the algorithms of each backend."""
    plugins = installed.get()
    hardware = Hardware.detect()
    backends: dict[str, Any] = {}
    for backend in sorted(plugins.backends, key=lambda entry: -entry.facts.priority):
        runs = sorted(a.name for a in plugins.algorithms if a.facts.backend == backend.name)
        backends[backend.name] = {"algorithms": runs, "unusable": unusable(backend)}
    found = environment()
    if as_json:
        print_json({"hardware": str(hardware), "backends": backends, "environment": found})
        return
    shown = table("backend", "algorithms", "here")
    for name, facts in backends.items():
        state = (
            "[green]works[/]"
            if facts["unusable"] is None
            else f"[red]{escape(facts['unusable'])}[/]"
        )
        shown.add_row(name, ", ".join(facts["algorithms"]), state)
    out.print(f"device  {hardware}\n")
    out.print(shown if backends else "no backend is installed; pip install aligntune-trl")
    versions = table("package", "version")
    for package, version in found["packages"].items():
        if version is not None:
            versions.add_row(package, version)
    out.print()
    out.print(versions)
