"""Evaluation: what an evaluator is, what it returns, and the one function that runs evaluators.

Core knows the protocol; the evaluators themselves come with plugins. Nothing here imports a model
library.
"""

from __future__ import annotations

from aligntune.evaluation.measurements import Measurements, prepare_measurements
from aligntune.evaluation.metric import Metric
from aligntune.evaluation.protocol import EvaluationContext, EvaluationSettings, Evaluator
from aligntune.evaluation.run import Evaluation, Prepared, evaluate, prepare

__all__ = [
    "Evaluation",
    "EvaluationContext",
    "EvaluationSettings",
    "Evaluator",
    "Measurements",
    "Metric",
    "Prepared",
    "evaluate",
    "prepare",
    "prepare_measurements",
]
