"""What this distribution brings: names and facts; rewards are imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune.hookspecs import hookimpl

if TYPE_CHECKING:
    from aligntune.facts import RewardFacts
    from aligntune.plugins import Register

__all__ = ["aligntune_register_rewards"]


@hookimpl
def aligntune_register_rewards(register: Register[RewardFacts]) -> None:
    """Register the built-in rewards."""
    register(
        "accuracy",
        "aligntune_rewards.accuracy:AccuracyReward",
        summary="1 if the final answer is the reference; numbers compared exactly",
        requires=("reference",),
    )
    register(
        "exact_match",
        "aligntune_rewards.exact_match:ExactMatchReward",
        summary="1 if the whole completion is the reference",
        requires=("reference",),
    )
    register(
        "math_accuracy",
        "aligntune_rewards.math_accuracy:MathAccuracyReward",
        summary="1 if the final answer is mathematically equal to the reference (math-verify)",
        requires=("reference",),
        cost="process",
        packages=("math-verify>=0.9",),
        install="aligntune-rewards[math]",
    )
    register(
        "length",
        "aligntune_rewards.length:LengthReward",
        summary="1 while the length is within bounds, falling to 0 outside them",
    )
    register(
        "structure",
        "aligntune_rewards.structure:StructureReward",
        summary="the share of checks on its form that a completion passes",
    )
