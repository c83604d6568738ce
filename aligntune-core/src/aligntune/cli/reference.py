"""The parameter reference, one table for each section, as Markdown: `aligntune explain --markdown`.

`docs/parameters.md` is what it writes with the plugin `trl` alone; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator

from aligntune.cli.explain import written
from aligntune.config.assemble import field_paths
from aligntune.config.documentation import summary
from aligntune.config.fields import Field, all_fields, names
from aligntune.plan.destinations import Destination, destinations
from aligntune.plugins import Plugins

__all__ = ["reference"]

_HEAD = """# Parameters

Every parameter of a [configuration](configuration.md), with all its names. A name without a section
works at the top level of a file, as a keyword argument and as a flag; one in parentheses, in the
section that it names. *Goes to* is the argument that the value becomes, or what AlignTune does with
it, for {}. An algorithm that a row
does not name refuses the parameter if it is set; `aligntune explain PARAMETER` says why.

This page is the output of `ALIGNTUNE_PLUGINS={} aligntune explain --markdown`.
"""
_TITLES = {"": "Top level", "datasets": "datasets, eval_datasets"}


def reference(plugins: Plugins) -> str:
    """Return the page for the algorithms of these plugins."""
    algorithms = sorted({f"{e.name} on {e.facts.backend}" for e in plugins.algorithms})
    owners = sorted({e.owner.name for e in plugins.algorithms})
    lines = [_HEAD.format(", ".join(algorithms), ",".join(owners))]
    for section in dict.fromkeys(field.section for field in all_fields()):
        inside = [field for field in all_fields() if field.section == section]
        lines += [f"## {_TITLES.get(section, section)}\n", _about(section, inside[0]) + "\n"]
        lines += ["| Parameter | Type | Default: SFT | RL | Means | Goes to |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [_row(field, plugins) for field in inside]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _about(section: str, first: Field) -> str:
    """What a section is for, and by which other names it goes."""
    short = [name for name, path in field_paths().items() if path == section]
    also = f"Also `{'`, `'.join(short)}`. " if short else ""
    return also + (summary(first.owner) if section else "Beside the sections.")


def _row(field: Field, plugins: Plugins) -> str:
    others = [name for name in names(field) if name not in (field.path, field.name)]
    called = f"`{field.name}`" + "".join(f", `{name}`" for name in others if "." not in name)
    elsewhere = [name for name in others if "." in name and not _doubled(name, field, others)]
    if elsewhere:
        called += f" ({', '.join(f'`{name}`' for name in elsewhere)})"
    kind = ", ".join(filter(None, (field.type, field.range)))
    rl = "the same" if field.rl == field.sft else f"`{written(field.rl)}`"
    goes = "; ".join(_goes(list(destinations(field.path, plugins))))
    cells = (called, kind, f"`{written(field.sft)}`", rl, field.meaning, goes)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _doubled(name: str, field: Field, others: list[str]) -> bool:
    """Whether a name with its section stands there without it too."""
    section, _, short = name.rpartition(".")
    return section == field.section and short in others


def _goes(found: list[Destination]) -> Iterator[str]:
    """What the algorithms do with a field: those that do the same are told together."""
    used = [destination for destination in found if destination.used]
    if not used:
        yield from dict.fromkeys(f"{found.use}" for found in found)
        return
    arguments: dict[str, list[str]] = {}
    ours: dict[str, list[str]] = {}
    for destination in used:
        when = getattr(destination.use, "when", None)
        while_ = "" if when is None else f", while {when}"
        if destination.argument is not None:
            argument, owner = destination.argument
            arguments.setdefault(f"`{argument}` of {{}}{while_}", []).append(owner)
        else:
            ours.setdefault(str(destination), []).append(destination.algorithm)
    for text, owners in arguments.items():
        yield text.format(", ".join(f"`{owner}`" for owner in sorted(set(owners))))
    everything = {destination.algorithm for destination in found}
    for text, algorithms in ours.items():
        by_all = set(algorithms) == everything
        yield text if by_all else f"{', '.join(sorted(set(algorithms)))}: {text}"
