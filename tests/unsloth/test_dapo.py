"""DAPO through Unsloth: the numbers of plain TRL in a process that Unsloth did not patch."""

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

LORA: dict[str, Any] = {"lora_rank": 4, "target_modules": ["q_proj", "v_proj"]}
MARKS = """
def two_digits(text, **columns):
    return float(sum(character.isascii() and character.isdigit() for character in text) >= 2)
"""
PLAIN = """
import json, sys
from aligntune import create_rl_trainer
create_rl_trainer(**json.loads(sys.argv[1])).train()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dapo")
    make_model(folder / "model", initializer_range=0.1)
    write_jsonl(folder / "rows.jsonl", addition_rows(32))
    (folder / "dapo_marks.py").write_text(MARKS)
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
        "algorithm": "dapo",
        "backend": backend,
        "output_dir": str(folder / f"{backend}-{adapter}"),
        "max_steps": 4,
        "batch_size": 8,
        "num_generations": 4,
        "num_ppo_epochs": 2,
        "gradient_accumulation_steps": 2,
        "learning_rate": 1e-3,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_completion_length": 20,
        "max_seq_length": 64,
        "mask_truncated_completions": False,
        "peft_enabled": adapter,
        "precision": "fp32",
        "logging_steps": 1,
        "save_interval": 2,
        "loggers": "none",
        "rewards": [{"type": "custom", "params": {"reward_function": "dapo_marks:two_digits"}}],
        **(LORA if adapter else {}),
        **more,
    }


def logged(path: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    names = ("loss", "grad_norm", "entropy", "reward", "reward_std", "clip_ratio/high_mean")
    return [
        {n: v for n, v in line.items() if n in names or n.startswith("dynamic_sampling/")}
        for line in lines
        if "loss" in line
    ]


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_unsloth_has_the_losses_of_plain_trl(folder: Path, adapter: bool) -> None:
    plain = settings(folder, "trl", adapter=adapter)
    subprocess.run([sys.executable, "-c", PLAIN, json.dumps(plain)], check=True)
    run = create_rl_trainer(**settings(folder, "unsloth", adapter=adapter)).train()
    expected = logged(Path(plain["output_dir"]) / "metrics.jsonl")
    found = logged(run.metrics)
    assert len(expected) == 4
    assert any(line.get("dynamic_sampling/rounds", 0) > 0 for line in expected)
    if adapter:  # Unsloth draws the adapter's random start otherwise; at first it changes nothing
        found, expected = ([{**lines[0], "grad_norm": 0.0}] for lines in (found, expected))
    for ours, theirs in zip(found, expected, strict=True):
        assert {"loss", "grad_norm"} <= set(ours)
        same = {name: theirs[name] for name in ours}
        assert ours == pytest.approx(same, abs=1e-4, rel=1e-4)


def test_a_run_through_unsloth_resumes_exactly(folder: Path, tmp_path: Path) -> None:
    def make(name: str, **more: Any) -> Any:
        return create_rl_trainer(
            **settings(folder, "unsloth", **more) | {"output_dir": str(tmp_path / name)}
        )

    whole = logged(make("whole").train().metrics)
    make("parts", stop_after_steps=2).train()
    assert logged(make("parts").train(resume=True).metrics) == whole
