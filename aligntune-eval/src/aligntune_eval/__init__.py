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
    "aligntune_eval.asking.generation": ("Completion", "completions", "samples_of"),
    "aligntune_eval.comparing.compare": ("compare_results", "compare_runs"),
    "aligntune_eval.comparing.comparison": ("Comparison", "Difference"),
    "aligntune_eval.models.load": ("LoadedModel", "load_model"),
    "aligntune_eval.page": ("write_page",),
    "aligntune_eval.files.reading": ("Result", "read_results", "result_of"),
    "aligntune_eval.files.results": ("TaskOutcome", "write_results"),
    "aligntune_eval.rows": ("read_rows",),
    "aligntune_eval.runner.runner": ("TaskResult", "evaluate_models"),
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
