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
    register(
        "overlong_penalty",
        "aligntune_rewards.shape.overlong_penalty:OverlongPenaltyReward",
        summary="0 up to a length, falling to -1 at the longest one (DAPO)",
        range=(-1.0, 0.0),
    )
    register(
        "repetition_penalty",
        "aligntune_rewards.shape.repetition_penalty:RepetitionPenaltyReward",
        summary="the share of n-grams that repeat others, times -1",
        range=(-1.0, 0.0),
    )
    register(
        "conciseness",
        "aligntune_rewards.shape.conciseness:ConcisenessReward",
        summary="1 while no longer than the reference, falling with length beyond it",
        requires=("reference",),
    )
    register(
        "cosine_length",
        "aligntune_rewards.shape.cosine_length:CosineLengthReward",
        summary="right answers earn more when short, wrong ones lose less when long",
        range=(-1.0, 1.0),
        requires=("reference",),
        cost="process",
    )
    register(
        "language",
        "aligntune_rewards.shape.language:LanguageReward",
        summary="the share of the text that is in the right language (py3langid)",
        packages=("py3langid>=0.4",),
        install="aligntune-rewards[text]",
    )
