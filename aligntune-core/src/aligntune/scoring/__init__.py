"""Rewards: the protocol, every form they may have, and the weighted sum a trainer is handed."""

from __future__ import annotations

from aligntune.scoring.adapt import as_reward
from aligntune.scoring.build import build_reward, build_scorer
from aligntune.scoring.combine import Breakdown, Scorer, Scores
from aligntune.scoring.parts import Part
from aligntune.scoring.protocol import Failed, RewardBatch, RewardFunction
from aligntune.scoring.references import REFERENCE_COLUMNS, choose_reference
from aligntune.scoring.registry import RewardRegistry

__all__ = [
    "REFERENCE_COLUMNS",
    "Breakdown",
    "Failed",
    "Part",
    "RewardBatch",
    "RewardFunction",
    "RewardRegistry",
    "Scorer",
    "Scores",
    "as_reward",
    "build_reward",
    "build_scorer",
    "choose_reference",
]
