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
        "sentiment",
        "aligntune_rewards.style.sentiment:SentimentReward",
        summary="how near the mood of the sentences is to the one that is wanted (VADER)",
        packages=("vaderSentiment>=3.3",),
        install="aligntune-rewards[text]",
    )
    register(
        "tone",
        "aligntune_rewards.style.tone:ToneReward",
        summary="whether mood and emphasis keep to a tone (VADER), or by a model",
        packages=("vaderSentiment>=3.3",),
        install="aligntune-rewards[text]",
    )
    register(
        "formality",
        "aligntune_rewards.style.formality:FormalityReward",
        summary="P(formal), by a classifier of sentences",
        **MODELS,
    )
