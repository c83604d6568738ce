"""Tasks: found by name, prepared without a model, and then run on as many models as there are."""

from __future__ import annotations

from aligntune_eval.tasks.find import HarnessTask, Task, find_tasks
from aligntune_eval.tasks.prepare import PreparedTask, Runnable, prepare_task

__all__ = ["HarnessTask", "PreparedTask", "Runnable", "Task", "find_tasks", "prepare_task"]
