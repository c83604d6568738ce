"""PPO through Unsloth: the numbers of plain TRL in a process that Unsloth did not patch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

COMPARED = ("loss", "policy_loss", "value_loss", "grad_norm", "entropy", "reward", "kl", "returns")
LORA: dict[str, Any] = {"lora_rank": 4, "target_modules": ["q_proj", "v_proj"]}
MARKS = """
def digits(text, **columns):
    return sum(character.isascii() and character.isalnum() for character in text) / 4
"""
PLAIN = """
import json, sys
from aligntune import create_rl_trainer
create_rl_trainer(**json.loads(sys.argv[1])).train()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ppo")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(32))
    (folder / "ppo_marks.py").write_text(MARKS)
    return folder


@pytest.fixture(autouse=True)
def marks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reward can be imported, here and in a child process."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


def settings(folder: Path, backend: str, *, adapter: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "algorithm": "ppo",
        "backend": backend,
        "output_dir": str(folder / f"{backend}-{adapter}"),
        "max_steps": 4,
        "batch_size": 3,
        "gradient_accumulation_steps": 2,
        "num_ppo_epochs": 2,
        "learning_rate": 1e-3,
        "max_completion_length": 5,
        "max_seq_length": 64,
        "peft_enabled": adapter,
        "precision": "fp32",
        "logging_steps": 1,
        "save_interval": 2,
        "loggers": "none",
        "rewards": [{"type": "custom", "params": {"reward_function": "ppo_marks:digits"}}],
        **(LORA if adapter else {}),
        **more,
    }


def logged(path: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{n: line[n] for n in COMPARED if n in line} for line in lines if "loss" in line]


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_unsloth_has_the_losses_of_plain_trl(folder: Path, adapter: bool) -> None:
    plain = settings(folder, "trl", adapter=adapter)
    subprocess.run([sys.executable, "-c", PLAIN, json.dumps(plain)], check=True)
    run = create_rl_trainer(**settings(folder, "unsloth", adapter=adapter)).train()
    expected = logged(Path(plain["output_dir"]) / "metrics.jsonl")
    found = logged(run.metrics)
    assert len(expected) == 4
    if adapter:  # Unsloth draws the adapter's random start otherwise; at first it changes nothing
        found, expected = ([{**lines[0], "grad_norm": 0.0}] for lines in (found, expected))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4, rel=1e-4)


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_run_through_unsloth_resumes_exactly(folder: Path, tmp_path: Path, adapter: bool) -> None:
    def make(name: str, **more: Any) -> Any:
        given = settings(folder, "unsloth", adapter=adapter, **more)
        return create_rl_trainer(**given | {"output_dir": str(tmp_path / name)})

    whole = logged(make("whole").train().metrics)
    make("parts", stop_after_steps=2).train()
    assert logged(make("parts").train(resume=True).metrics) == whole
