"""What shows that an algorithm learns: a small real task, and a control that must teach nothing.

Each module `task_NAME.py` beside this one has one `TASK`. `test_learning.py` runs them, and
`table.py` runs them on every backend, in full and with LoRA, over seeds, for the documentation.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Cell", "Task", "quiet", "tasks"]


@dataclass(frozen=True)
class Cell:
    """One run of a task.

    Attributes:
        folder: an empty folder for models, rows and the run.
        backend: `trl` or `unsloth`.
        adapter: whether a LoRA adapter is trained in place of the whole model.
        signal: whether there is anything to learn; without it, the run is the control.
        seed: of the model, the data and the training.
        logging_steps: steps between two lines of the run's metrics.
    """

    folder: Path
    backend: str = "trl"
    adapter: bool = False
    signal: bool = True
    seed: int = 0
    logging_steps: int = 10


@dataclass(frozen=True)
class Task:
    """A task, and what its metric must do.

    Attributes:
        algorithm: the registered name.
        about: what is learned and what the control has instead, in one sentence.
        metric: what `run` returns.
        run: trains, and returns the metric before and after training, of which more is better.
        gain: the least that the metric must rise with the signal.
        drift: the most that it may rise without.
    """

    algorithm: str
    about: str
    metric: str
    run: Callable[[Cell], tuple[float, float]]
    gain: float
    drift: float


def quiet(cell: Cell) -> dict[str, Any]:
    """The settings that every task has: where, on what, with which seed, and nothing besides."""
    lora: dict[str, Any] = {"lora_rank": 16, "target_modules": "all-linear", "lora_dropout": 0.0}
    return {
        "backend": cell.backend,
        "output_dir": str(cell.folder / "run"),
        "peft_enabled": cell.adapter,
        **(lora if cell.adapter else {}),
        "precision": "fp32",
        "save_strategy": "no",
        "loggers": "none",
        "seed": cell.seed,
        "logging_steps": cell.logging_steps,
    }


def tasks() -> dict[str, Task]:
    """Every task, by the name of its algorithm."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("task_*.py"))
    found: list[Task] = [importlib.import_module(name).TASK for name in names]
    return {task.algorithm: task for task in found}
