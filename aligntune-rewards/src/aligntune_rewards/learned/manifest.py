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
        "reward_model",
        "aligntune_rewards.learned.reward_model:RewardModelReward",
        summary="the logit of any sequence-classification model (params.model)",
        range=(float("-inf"), float("inf")),
        **MODELS,
    )
    register(
        "helpfulness",
        "aligntune_rewards.learned.reward_model:HelpfulnessReward",
        summary="how much a reward model of human preferences likes the completion",
        **MODELS,
    )
    register(
        "llm_judge",
        "aligntune_rewards.learned.llm_judge:LlmJudgeReward",
        summary="the score of a language model behind an OpenAI-compatible endpoint, by a rubric",
        cost="model",
        packages=("httpx>=0.28",),
        install="aligntune-rewards[judge]",
    )
    register(
        "reward_ensemble",
        "aligntune_rewards.learned.reward_ensemble:RewardEnsembleReward",
        summary="the mean, the worst, or the mean less the disagreement of several reward models",
        range=(float("-inf"), float("inf")),
        **MODELS,
    )
