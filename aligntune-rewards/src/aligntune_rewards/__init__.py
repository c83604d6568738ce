"""Built-in rewards for AlignTune; `aligntune_rewards.plugin` names them all."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligntune_rewards.accuracy import AccuracyReward
    from aligntune_rewards.coherence import CoherenceReward
    from aligntune_rewards.exact_match import ExactMatchReward
    from aligntune_rewards.length import LengthReward
    from aligntune_rewards.math_accuracy import MathAccuracyReward
    from aligntune_rewards.moderation import HarmfulContentReward, ToxicityReward
    from aligntune_rewards.privacy import PrivacyReward
    from aligntune_rewards.reward_model import HelpfulnessReward, RewardModelReward
    from aligntune_rewards.safety import SafetyReward
    from aligntune_rewards.structure import StructureReward

__all__ = [
    "AccuracyReward",
    "CoherenceReward",
    "ExactMatchReward",
    "HarmfulContentReward",
    "HelpfulnessReward",
    "LengthReward",
    "MathAccuracyReward",
    "PrivacyReward",
    "RewardModelReward",
    "SafetyReward",
    "StructureReward",
    "ToxicityReward",
]

_MODULES = {
    "AccuracyReward": "accuracy",
    "CoherenceReward": "coherence",
    "ExactMatchReward": "exact_match",
    "HarmfulContentReward": "moderation",
    "HelpfulnessReward": "reward_model",
    "LengthReward": "length",
    "MathAccuracyReward": "math_accuracy",
    "PrivacyReward": "privacy",
    "RewardModelReward": "reward_model",
    "SafetyReward": "safety",
    "StructureReward": "structure",
    "ToxicityReward": "moderation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
