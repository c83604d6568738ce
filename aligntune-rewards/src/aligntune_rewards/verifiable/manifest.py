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
        "accuracy",
        "aligntune_rewards.verifiable.accuracy:AccuracyReward",
        summary="1 if the final answer is the reference; numbers compared exactly",
        requires=("reference",),
    )
    register(
        "exact_match",
        "aligntune_rewards.verifiable.exact_match:ExactMatchReward",
        summary="1 if the whole completion is the reference",
        requires=("reference",),
    )
    register(
        "math_accuracy",
        "aligntune_rewards.verifiable.math_accuracy:MathAccuracyReward",
        summary="1 if the final answer is mathematically equal to the reference (math-verify)",
        requires=("reference",),
        cost="process",
        packages=("math-verify>=0.9",),
        install="aligntune-rewards[math]",
    )
