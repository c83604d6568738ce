"""Built-in rewards for AlignTune; `aligntune_rewards.plugin` names them all.

Each reward's class can be imported from here, and is loaded when that is done.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _targets() -> dict[str, str]:
    """Class name -> module, as the manifests of the groups have them."""
    found: dict[str, str] = {}

    def register(_: str, target: object, **facts: Any) -> None:
        del facts
        module, _, attribute = str(target).partition(":")
        found[attribute] = module

    from aligntune_rewards.plugin import GROUPS

    for group in GROUPS.values():
        group.register_rewards(register)
    return found


def __getattr__(name: str) -> Any:
    if not name.endswith("Reward") or (module := _targets().get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted(_targets())
