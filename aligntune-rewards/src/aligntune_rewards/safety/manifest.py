"""What this group brings: names and facts; rewards are imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune_rewards.learned.needs import MODELS

if TYPE_CHECKING:
    from aligntune.facts import RewardFacts
    from aligntune.plugins import Register

__all__ = ["register_rewards"]


def register_rewards(register: Register[RewardFacts]) -> None:
    """Register the rewards of this group."""
    register(
        "toxicity",
        "aligntune_rewards.safety.moderation:ToxicityReward",
        summary="1 - P(toxic), by a classifier",
        **MODELS,
    )
    register(
        "harmful_content",
        "aligntune_rewards.safety.moderation:HarmfulContentReward",
        summary="1 - P(violence, hate, harassment, sexual content or self-harm), by a classifier",
        **MODELS,
    )
    register(
        "bias",
        "aligntune_rewards.safety.bias:BiasReward",
        summary="1 - P(stereotype) of the worst sentence, by a classifier",
        **MODELS,
    )
    register(
        "profanity",
        "aligntune_rewards.safety.profanity:ProfanityReward",
        summary="1 - P(profane) of the foulest sentence (alt-profanity-check)",
        packages=("alt-profanity-check>=1.6",),
        install="aligntune-rewards[safety]",
    )
    register(
        "refusal",
        "aligntune_rewards.safety.refusal:RefusalReward",
        summary="whether a completion refuses where it should, and does not where it should not",
    )
    register(
        "privacy",
        "aligntune_rewards.safety.privacy:PrivacyReward",
        summary="1 unless the completion gives away personal data",
    )
    register(
        "safety",
        "aligntune_rewards.safety.safety:SafetyReward",
        summary="the minimum of toxicity, harmful_content and privacy, or of other parts",
        cost="model",
    )
