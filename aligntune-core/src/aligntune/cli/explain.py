"""`aligntune explain`: what a parameter means and where it goes, and the same for a whole file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from rich.markup import escape

from aligntune import plugins as installed
from aligntune.cli.configured import plan_of
from aligntune.cli.console import out, print_json, table
from aligntune.config.documentation import summary
from aligntune.config.fields import (
    REQUIRED,
    Field,
    all_fields,
    find,
    meaning_of,
    names,
    section_called,
)
from aligntune.config.foreign import foreign_name
from aligntune.config.sources import SUFFIXES
from aligntune.errors import ConfigError, Problem, did_you_mean
from aligntune.hardware import Hardware
from aligntune.plan import Plan, plan_as_dict
from aligntune.plan.destinations import Destination, destinations

__all__ = ["run", "written"]


def run(target: str | None, flags: dict[str, Any], *, as_json: bool) -> None:
    """Explain a file, a field, a section, or say which sections there are."""
    if target is not None and Path(target).suffix.lower() in SUFFIXES:
        plan = plan_of(Path(target), flags, hardware=Hardware.detect())
        print_json(_file_as_dict(plan)) if as_json else _show_file(plan)
        return
    if flags:
        raise ConfigError("flags belong to a configuration file: `aligntune explain FILE --seed 7`")
    if target is None:
        found = list(all_fields())
        print_json([_field_as_dict(f) for f in found]) if as_json else _show_sections()
        return
    found = find(target)
    section = section_called(target)
    inside = [field for field in all_fields() if section and field.section == section]
    if not found and not inside:
        raise ConfigError(Problem(target, "there is no such parameter", hint=_hint(target)))
    if as_json:
        print_json([_field_as_dict(field) for field in found or inside])
    elif found:
        for field in found:
            _show_field(field)
    else:
        _show_section(inside)


def _hint(name: str) -> str:
    known = {n for field in all_fields() for n in (*names(field), field.section)} - {""}
    close = did_you_mean(name.replace("-", "_"), known)
    return foreign_name(name) or close or "`aligntune explain` lists the sections"


def written(value: Any) -> str:
    """A value as YAML would have it, on one line."""
    if value is REQUIRED:
        return str(value)
    value = value.value if isinstance(value, Enum) else value
    if value is None or isinstance(value, bool):
        return {None: "unset", True: "true", False: "false"}[value]
    return str(value)


def _show_sections() -> None:
    shown = table("section", "parameters", "says")
    for section in dict.fromkeys(field.section for field in all_fields()):
        inside = [field for field in all_fields() if field.section == section]
        says = summary(inside[0].owner) if section else ", ".join(f.name for f in inside)
        shown.add_row(section or "(no section)", str(len(inside)), escape(says))
    out.print(shown)
    out.print("\naligntune explain SECTION, PARAMETER or FILE says more", highlight=False)


def _show_section(fields: list[Field]) -> None:
    shown = table("parameter", "default", "RL", "means")
    for field in fields:
        rl = "" if field.rl == field.sft else written(field.rl)
        row = (field.path, written(field.sft), rl, field.meaning)
        shown.add_row(*map(escape, row))
    out.print(shown)


def _show_field(field: Field) -> None:
    out.print(f"[bold]{field.path}[/]", highlight=False)
    _line(field.meaning)
    out.print()
    default = written(field.sft)
    if field.rl != field.sft:
        default = f"{default} (SFT), {written(field.rl)} (RL)"
    _line(f"type     {', '.join(filter(None, (field.type, field.range)))}")
    _line(f"default  {default}")
    if len(names(field)) > 1:
        _line(f"names    {', '.join(names(field))}")
    alike = [f.path for f in all_fields() if f.name == field.name and f.path != field.path]
    if alike:
        _line(f"see also {', '.join(alike)}")
    shown = table("algorithm", "backend", "goes to")
    for found in destinations(field.path, installed.get()):
        to = str(found) + (f"; default {found.default}" if found.default is not None else "")
        style = "" if found.used else "dim"
        shown.add_row(found.algorithm, found.backend, escape(to), style=style)
    out.print()
    out.print(shown)


def _line(text: str) -> None:
    out.print(text, highlight=False, markup=False)


def _field_as_dict(field: Field) -> dict[str, Any]:
    required = REQUIRED in (field.sft, field.rl)
    return {
        "path": field.path,
        "meaning": field.meaning,
        "type": field.type,
        "range": field.range,
        "required": required,
        "default": {
            kind: None if value is REQUIRED else value
            for kind, value in (("sft", field.sft), ("rl", field.rl))
        },
        "names": names(field),
        "goes_to": [_destination(d) for d in destinations(field.path, installed.get())],
    }


def _destination(found: Destination) -> dict[str, Any]:
    return {
        "algorithm": found.algorithm,
        "backend": found.backend,
        "used": found.used,
        "destination": str(found),
        "default": found.default,
    }


def _file_as_dict(plan: Plan) -> dict[str, Any]:
    said = plan_as_dict(plan)
    for value in (*said["values"], *said["unused"]):
        value["meaning"] = meaning_of(value["path"])
    return said


def _show_file(plan: Plan) -> None:
    said = _file_as_dict(plan)
    out.print(f"[bold]{plan.algorithm.name}[/] on [bold]{plan.backend.name}[/]", highlight=False)
    for value in said["values"]:
        style = "dim" if value["origin"].startswith("default") else ""
        out.print()
        text = f"{value['path']} = {written(value['value'])}    ({value['origin']})"
        out.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
        _line(f"    {value['meaning']}")
        _line(f"    goes to: {value['destination']}")
    out.print("\nnot used by this run", highlight=False)
    shown = table("parameter", "why")
    for unused in said["unused"]:
        shown.add_row(unused["path"], escape(unused["why"].removeprefix("not used: ")))
    out.print(shown)
