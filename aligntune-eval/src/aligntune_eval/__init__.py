"""Metrics, tasks and reports for causal language models, without a training backend.

Importing this package imports nothing else; each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "aligntune.evaluation": (
        "EvalTask",
        "EvaluationSettings",
        "Evaluator",
        "Metric",
        "TaskCategory",
        "evaluate",
    ),
    "aligntune_eval.compare": ("compare_results", "compare_runs"),
    "aligntune_eval.comparison": ("Comparison", "Difference"),
    "aligntune_eval.load": ("LoadedModel", "load_model"),
    "aligntune_eval.page": ("write_page",),
    "aligntune_eval.reading": ("Result", "read_results", "result_of"),
    "aligntune_eval.results": ("TaskOutcome", "write_results"),
    "aligntune_eval.rows": ("read_rows",),
    "aligntune_eval.runner": ("TaskResult", "evaluate_models"),
    "aligntune_eval.tasks": ("find_tasks", "prepare_task"),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULE)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'aligntune_eval' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
