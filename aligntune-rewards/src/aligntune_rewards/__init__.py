"""Built-in rewards for AlignTune; `aligntune_rewards.plugin` names them all."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligntune_rewards.accuracy import AccuracyReward
    from aligntune_rewards.exact_match import ExactMatchReward
    from aligntune_rewards.length import LengthReward
    from aligntune_rewards.math_accuracy import MathAccuracyReward
    from aligntune_rewards.structure import StructureReward

__all__ = [
    "AccuracyReward",
    "ExactMatchReward",
    "LengthReward",
    "MathAccuracyReward",
    "StructureReward",
]

_MODULES = {
    "AccuracyReward": "accuracy",
    "ExactMatchReward": "exact_match",
    "LengthReward": "length",
    "MathAccuracyReward": "math_accuracy",
    "StructureReward": "structure",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
