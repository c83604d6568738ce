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
        "coherence",
        "aligntune_rewards.text.coherence:CoherenceReward",
        summary="how expected the completion is to a language model, given the prompt",
        **MODELS,
    )
    register(
        "readability",
        "aligntune_rewards.text.readability:ReadabilityReward",
        summary="how near an English text is to a reading level, by Flesch's formulas",
    )
    register(
        "diversity",
        "aligntune_rewards.text.diversity:DiversityReward",
        summary="how little the completion repeats itself: distinct n-grams, whatever its length",
    )
    register(
        "fluency",
        "aligntune_rewards.text.fluency:FluencyReward",
        summary="how expected the completion is to a language model that reads it alone",
        **MODELS,
    )
    register(
        "relevance",
        "aligntune_rewards.text.relevance:RelevanceReward",
        summary="whether the completion is about what the prompt asks",
        # What each backend needs is checked when it is loaded.
        cost="model",
        install="aligntune-rewards[embeddings]",
    )
