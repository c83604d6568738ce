"""Which algorithms a field is for. The others refuse it, each for the same reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aligntune.plan.parameters import CORE_USES, Fixed, Ours, ParameterTable, Refused, To

__all__ = ["TITLES", "told_apart"]

# How an algorithm is called in a sentence, where that is not its name in capitals.
TITLES = {
    "dr_grpo": "Dr. GRPO",
    "neural_mirror_grpo": "Neural Mirror GRPO",
    "meta_es": "Meta-ES",
    "simpo": "SimPO",
    "online_dpo": "online DPO",
    "reward_modeling": "reward models",
    "text_classification": "text classification",
    "token_classification": "token classification",
}

# What runs other algorithms: the fields of those are not for it.
_AROUND_OTHERS = ("meta_es",)


def told_apart(tables: Mapping[str, ParameterTable]) -> dict[str, ParameterTable]:
    """The tables, in which a field that only others use is refused by their names."""
    users: dict[str, list[str]] = {}
    for name, table in tables.items():
        if name in _AROUND_OTHERS:
            continue
        for path, use in table.uses.items():
            if isinstance(use, To | Ours | Fixed) and path not in CORE_USES:
                users.setdefault(path, []).append(name)
    return {
        name: replace(
            table,
            uses={
                **{path: Refused(f"it belongs to {_listed(by)}") for path, by in users.items()},
                **table.uses,
            },
        )
        for name, table in tables.items()
    }


def _listed(names: list[str]) -> str:
    *most, last = sorted((TITLES.get(name, name.upper()) for name in names), key=str.lower)
    return f"{', '.join(most)} and {last}" if most else last
