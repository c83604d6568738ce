"""`aligntune algorithms`: which algorithm runs on which backend, from registered facts alone.

`docs/matrix.md` is what `aligntune algorithms --markdown` writes with TRL and Unsloth; a test
compares the two, and another one trains in every cell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.markup import escape

from aligntune.cli.console import out, print_json, table
from aligntune.data.contract import CONTRACTS
from aligntune.plugins import Plugins

__all__ = ["matrix", "page", "show"]

_HEAD = """# Algorithms and backends

What `aligntune algorithms --markdown` writes where both backends are installed: a backend runs what
is registered for it. [Algorithms](algorithms.md) says what each of them is.
"""


def matrix(plugins: Plugins) -> list[dict[str, Any]]:
    """A line for each algorithm: its facts, and the backends that run it, best first."""
    order = [b.name for b in sorted(plugins.backends, key=lambda entry: -entry.facts.priority)]
    lines: dict[str, dict[str, Any]] = {}
    known = sorted(plugins.algorithms, key=lambda entry: (entry.facts.kind != "sft", entry.name))
    for entry in known:
        facts = entry.facts
        line = lines.setdefault(
            entry.name,
            {
                "name": entry.name,
                "aliases": list(facts.aliases),
                "summary": facts.summary,
                "data": facts.data,
                "rewards": facts.rewards,
                "paper": facts.paper,
                "backends": [],
            },
        )
        line["backends"] = sorted({*line["backends"], facts.backend}, key=order.index)
    return list(lines.values())


def show(plugins: Plugins, *, as_json: bool, markdown: bool) -> None:
    """Print the matrix, for people, for programs or for the documentation."""
    lines = matrix(plugins)
    if as_json:
        print_json(lines)
    elif markdown:
        sys.stdout.write(page(plugins))
    elif not lines:
        out.print("no algorithm is installed; pip install aligntune-trl brings them")
    else:
        shown = table("algorithm", "backends", "data", "rewards", "what it is")
        for line in lines:
            about = escape(line["summary"])
            shown.add_row(
                line["name"], ", ".join(line["backends"]), line["data"], line["rewards"], about
            )
        out.print(shown)


def page(plugins: Plugins) -> str:
    """Return the matrix as a page of the documentation."""
    lines = matrix(plugins)
    backends = sorted({backend for line in lines for backend in line["backends"]})
    head = ("Algorithm", "Also", *backends, "Data", "Rewards", "What it is")
    rows = [
        (
            f"`{line['name']}`",
            ", ".join(f"`{alias}`" for alias in line["aliases"]),
            *("yes" if backend in line["backends"] else "no" for backend in backends),
            CONTRACTS[line["data"]].wanted if line["data"] in CONTRACTS else line["data"],
            line["rewards"],
            line["paper"] or line["summary"],
        )
        for line in lines
    ]
    return "\n".join([_HEAD, _row(head), _row("---" for _ in head), *map(_row, rows)]) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
