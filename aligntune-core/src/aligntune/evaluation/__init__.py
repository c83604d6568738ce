"""Evaluation: what an evaluator is, what it returns, and the one function that runs evaluators.

Core knows the protocol; the evaluators themselves come with plugins. Nothing here imports a model
library.
"""

from __future__ import annotations

from aligntune.evaluation.measurements import Measurements, prepare_measurements
from aligntune.evaluation.metric import Combine, Metric
from aligntune.evaluation.protocol import EvaluationContext, EvaluationSettings, Evaluator, Store
from aligntune.evaluation.run import Evaluation, Prepared, evaluate, prepare
from aligntune.evaluation.task import EvalTask, TaskCategory

__all__ = [
    "Combine",
    "EvalTask",
    "Evaluation",
    "EvaluationContext",
    "EvaluationSettings",
    "Evaluator",
    "Measurements",
    "Metric",
    "Prepared",
    "Store",
    "TaskCategory",
    "evaluate",
    "prepare",
    "prepare_measurements",
]
