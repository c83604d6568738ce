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
        "code_quality",
        "aligntune_rewards.code.code_quality:CodeQualityReward",
        summary="few problems found by ruff, times a low complexity by radon",
        cost="process",
        packages=("ruff>=0.9", "radon>=6"),
        install="aligntune-rewards[code]",
    )
