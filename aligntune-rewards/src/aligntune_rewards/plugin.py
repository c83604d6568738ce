"""What this distribution brings: names and facts; rewards are imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.hookspecs import hookimpl

if TYPE_CHECKING:
    from aligntune.facts import RewardFacts
    from aligntune.plugins import Register

__all__ = ["aligntune_register_rewards"]

_MODELS: dict[str, Any] = {
    "cost": "model",
    "packages": ("torch>=2.6", "transformers>=5.17"),
    "install": "aligntune-rewards[models]",
}


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
    register(
        "reward_model",
        "aligntune_rewards.reward_model:RewardModelReward",
        summary="the logit of any sequence-classification model (params.model)",
        range=(float("-inf"), float("inf")),
        **_MODELS,
    )
    register(
        "helpfulness",
        "aligntune_rewards.reward_model:HelpfulnessReward",
        summary="how much a reward model of human preferences likes the completion",
        **_MODELS,
    )
    register(
        "coherence",
        "aligntune_rewards.coherence:CoherenceReward",
        summary="how expected the completion is to a language model, given the prompt",
        **_MODELS,
    )
    register(
        "toxicity",
        "aligntune_rewards.moderation:ToxicityReward",
        summary="1 - P(toxic), by a classifier",
        **_MODELS,
    )
    register(
        "harmful_content",
        "aligntune_rewards.moderation:HarmfulContentReward",
        summary="1 - P(violence, hate, harassment, sexual content or self-harm), by a classifier",
        **_MODELS,
    )
    register(
        "privacy",
        "aligntune_rewards.privacy:PrivacyReward",
        summary="1 unless the completion gives away personal data",
    )
    register(
        "safety",
        "aligntune_rewards.safety:SafetyReward",
        summary="the minimum of toxicity, harmful_content and privacy, or of other parts",
        cost="model",
    )
