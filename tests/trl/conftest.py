"""Files of rows, and runs of algorithms that learn from preferences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer
from aligntune.testing import write_jsonl


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def to(rows: Any, name: str = "rows.jsonl") -> str:
        path = tmp_path / name
        if isinstance(rows, str):
            path.write_text(rows)
        else:
            write_jsonl(path, rows)
        return str(path)

    return to


@pytest.fixture
def short_run(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    """Make the trainer of a run of four steps that takes a second; settings replace its own.

    The module's `folder` has its `model` and `rows.jsonl`.
    """

    def of(algorithm: str, **settings: Any) -> Any:
        given: dict[str, Any] = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "algorithm": algorithm,
            "backend": "trl",
            "output_dir": str(tmp_path / "run"),
            "max_steps": 4,
            "batch_size": 4,
            "learning_rate": 3e-3,
            "max_seq_length": 64,
            "max_completion_length": 4,
            "logging_steps": 1,
            "precision": "fp32",
            "loggers": "none",
        }
        return create_rl_trainer(**{**given, **settings})

    return of
