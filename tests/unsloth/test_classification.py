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
for settings in json.loads(sys.argv[1]):
    create_sft_trainer(**settings).train()
"""
CASES = [(task, adapter) for task in ("text", "token") for adapter in (False, True)]


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


def settings(folder: Path, backend: str, task: str, adapter: bool) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / f"{task}.jsonl"),
        "task_type": f"{task}_classification",
        "num_labels": 3 if task == "token" else 2,
        "backend": backend,
        "output_dir": str(folder / f"{backend}-{task}-{adapter}"),
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, rows, and the runs on TRL, in a process of their own: one runs one backend."""
    folder = tmp_path_factory.mktemp("classification")
    make_model(folder / "model")
    write_jsonl(folder / "text.jsonl", text_rows(32))
    write_jsonl(folder / "token.jsonl", token_rows(32))
    given = json.dumps([settings(folder, "trl", *case) for case in CASES])
    command = [sys.executable, "-c", ON_TRL, given]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return folder


@pytest.mark.parametrize(("task", "adapter"), CASES)
def test_the_numbers_are_those_of_trl(folder: Path, task: str, adapter: bool) -> None:
    given = settings(folder, "unsloth", task, adapter)
    trainer = create_sft_trainer(**given)
    trainer.train()
    assert len(trainer.predict([["a", "b"]] if task == "token" else ["a"])) == 1
    ours = numbers(given["output_dir"])
    theirs = numbers(settings(folder, "trl", task, adapter)["output_dir"])
    assert len(theirs) > 4
    assert [list(step.values()) for step in ours] == [
        pytest.approx(list(step.values()), rel=1e-5) for step in theirs
    ]
