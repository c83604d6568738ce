"""Tasks: found by name, prepared without a model, and then run on as many models as there are."""

from __future__ import annotations

from aligntune_eval.tasks.prepare import PreparedTask, prepare_task

__all__ = ["PreparedTask", "prepare_task"]
