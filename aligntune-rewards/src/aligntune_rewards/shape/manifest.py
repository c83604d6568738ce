"""What this group brings: names and facts; rewards are imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aligntune.facts import RewardFacts
    from aligntune.plugins import Register

__all__ = ["register_rewards"]


def register_rewards(register: Register[RewardFacts]) -> None:
    """Register the rewards of this group."""
    register(
        "length",
        "aligntune_rewards.shape.length:LengthReward",
        summary="1 while the length is within bounds, falling to 0 outside them",
    )
    register(
        "structure",
        "aligntune_rewards.shape.structure:StructureReward",
        summary="the share of checks on its form that a completion passes",
    )
