"""`aligntune plan` and `aligntune validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.markup import escape

from aligntune.cli.configured import plan_of
from aligntune.cli.console import out, print_json, table
from aligntune.cli.explain import written
from aligntune.hardware import Hardware
from aligntune.plan import Plan, plan_as_dict

__all__ = ["show", "validate"]


def validate(config: Path | None, flags: dict[str, Any], *, as_json: bool) -> None:
    """Check a configuration without asking for hardware or loading anything."""
    plan = plan_of(config, flags)
    if as_json:
        print_json({"valid": True, "algorithm": plan.algorithm.name, "backend": plan.backend.name})
    else:
        out.print(
            f"valid: {plan.algorithm.name} on {plan.backend.name} ({plan.why})",
            highlight=False,
            markup=False,
        )


def show(config: Path | None, flags: dict[str, Any], *, as_json: bool) -> None:
    """Show the plan of a run."""
    plan = plan_of(config, flags, hardware=Hardware.detect())
    if as_json:
        print_json(plan_as_dict(plan))
        return
    _show(plan)


def _show(plan: Plan) -> None:
    facts = plan.algorithm.facts
    out.print(f"[bold]{plan.algorithm.name}[/]: {escape(facts.summary)}", highlight=False)
    out.print(f"on [bold]{plan.backend.name}[/]: {escape(plan.why)}\n", highlight=False)
    for line in plan.batch:
        out.print(f"  {line}", highlight=False, markup=False)
    for warning in plan.warnings:
        out.print(f"  [yellow]warning[/]: {escape(warning)}", highlight=False)
    shown = table("parameter", "value", "from", "goes to")
    entries = plan_as_dict(plan)
    for value in entries["values"]:
        said = "" if value["value"] is None else written(value["value"])
        origin = value["origin"]
        style = "dim" if origin.startswith("default") else ""
        row = (value["path"], said, origin, value["destination"])
        shown.add_row(*map(escape, row), style=style)
    out.print()
    out.print(shown)
    out.print(f"\n{len(entries['unused'])} more are not used by this run (--json lists them)")
