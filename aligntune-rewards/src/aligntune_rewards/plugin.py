"""What this distribution brings, group by group; each group has a manifest of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


@hookimpl
def aligntune_register_rewards(register: Register[RewardFacts]) -> None:
    """Register the built-in rewards."""
    for group in GROUPS.values():
        group.register_rewards(register)
