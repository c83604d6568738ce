"""Classifiers on the Unsloth backend: transformers loads them, and their numbers are TRL's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_sft_trainer
from aligntune.testing import make_model, write_jsonl

LORA: dict[str, Any] = {"peft_enabled": True, "lora_rank": 4, "lora_dropout": 0.0}
COMPARED = ("loss", "grad_norm", "learning_rate", "eval_loss", "eval_accuracy", "eval_macro_f1")
ON_TRL = """
import json, sys
from aligntune import create_sft_trainer
create_sft_trainer(**json.loads(sys.argv[1])).train()
"""


def text_rows(count: int) -> list[dict[str, Any]]:
    return [{"text": f"{n} is", "label": "odd" if n % 2 else "even"} for n in range(count)]


def token_rows(count: int) -> list[dict[str, Any]]:
    return [
        {"tokens": ["Anna", "sees", "Rome"][: 1 + n % 3], "ner_tags": [0, 1, 2][: 1 + n % 3]}
        for n in range(count)
    ]


def numbers(folder: str) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in COMPARED if name in line} for line in lines]


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("task", ["text", "token"])
def test_the_numbers_are_those_of_trl(tmp_path: Path, task: str, adapter: bool) -> None:
    rows = {"text": text_rows, "token": token_rows}[task](32)
    settings: dict[str, Any] = {
        "model_name": str(make_model(tmp_path / "model")),
        "dataset_name": str(write_jsonl(tmp_path / "rows.jsonl", rows)),
        "task_type": f"{task}_classification",
        "num_labels": 3 if task == "token" else 2,
        "val_size": 8,
        "eval_interval": 2,
        "save_interval": 2,
        "max_steps": 4,
        "batch_size": 2,
        "gradient_accumulation_steps": 2,
        "learning_rate": 3e-3,
        "max_seq_length": 32,
        "logging_steps": 1,
        "seed": 7,
        "precision": "fp32",
        "loggers": "none",
        **(LORA if adapter else {}),
    }
    found = {}
    for backend in ("unsloth", "trl"):
        found[backend] = str(tmp_path / backend)
        given = settings | {"backend": backend, "output_dir": found[backend]}
        if backend == "unsloth":
            trainer = create_sft_trainer(**given)
            trainer.train()
            assert len(trainer.predict([["a", "b"]] if task == "token" else ["a"])) == 1
        else:  # one process runs one backend
            command = [sys.executable, "-c", ON_TRL, json.dumps(given)]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
    ours, theirs = numbers(found["unsloth"]), numbers(found["trl"])
    assert len(theirs) > 4
    assert [list(step.values()) for step in ours] == [
        pytest.approx(list(step.values()), rel=1e-5) for step in theirs
    ]
