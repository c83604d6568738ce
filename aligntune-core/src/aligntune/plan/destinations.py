"""Where a field goes in every registered algorithm on every backend, told from their tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aligntune.plan.parameters import Fixed, ParameterTable, Refused, To, Use
from aligntune.plugins import Plugins
from aligntune.registry import import_target

__all__ = ["Destination", "destinations"]


@dataclass(frozen=True)
class Destination:
    """What one algorithm on one backend does with a field."""

    algorithm: str
    backend: str
    use: Use
    default: Any = None
    """The algorithm's own default, where it has one."""

    @property
    def used(self) -> bool:
        return not isinstance(self.use, (Refused, Fixed))

    def __str__(self) -> str:
        when = getattr(self.use, "when", None)
        return str(self.use) if when is None else f"{self.use}, while {when}"

    @property
    def argument(self) -> tuple[str, str] | None:
        """The argument that it becomes, and the class that takes it."""
        return (self.use.argument, self.use.owner) if isinstance(self.use, To) else None


def destinations(path: str, plugins: Plugins) -> Iterator[Destination]:
    """Yield what becomes of the field at `path`, by algorithm and backend."""
    entries = sorted(plugins.algorithms, key=lambda e: (e.facts.kind != "sft", e.name))
    for entry in entries:
        table: ParameterTable = import_target(
            entry.facts.parameters, f"algorithm {entry.name!r} of {entry.owner}"
        )
        default = entry.facts.defaults.get(path)
        yield Destination(entry.name, entry.facts.backend, table.use(path), default)
