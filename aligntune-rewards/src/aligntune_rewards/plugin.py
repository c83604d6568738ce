"""What this distribution brings, group by group; each group has a manifest of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.hookspecs import hookimpl
from aligntune_rewards.code import manifest as code
from aligntune_rewards.learned import manifest as learned
from aligntune_rewards.reference import manifest as reference
from aligntune_rewards.safety import manifest as safety
from aligntune_rewards.shape import manifest as shape
from aligntune_rewards.style import manifest as style
from aligntune_rewards.text import manifest as text
from aligntune_rewards.verifiable import manifest as verifiable

if TYPE_CHECKING:
    from aligntune.facts import RewardFacts
    from aligntune.plugins import Register

__all__ = ["GROUPS", "aligntune_register_rewards"]

GROUPS = {
    "verifiable": verifiable,
    "shape": shape,
    "reference": reference,
    "text": text,
    "style": style,
    "safety": safety,
    "code": code,
    "learned": learned,
}


class _Placed:
    """Registers rewards with their group, and the section of the documentation about each."""

    def __init__(self, register: Register[RewardFacts], group: str) -> None:
        self._register = register
        self._group = group

    def __call__(self, name: str, target: object, **facts: Any) -> None:
        docs = f"docs/rewards/{self._group}.md#{name}"
        self._register(name, target, group=self._group, docs=docs, **facts)


@hookimpl
def aligntune_register_rewards(register: Register[RewardFacts]) -> None:
    """Register the built-in rewards."""
    for name, group in GROUPS.items():
        group.register_rewards(_Placed(register, name))
