"""Algorithms on groups of completions through Unsloth: the numbers and settings of plain TRL.

On a CPU, Unsloth leaves these trainers to TRL. On a GPU it puts its own in their place, which
change settings; importing `unsloth.models` does so here too.
"""

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

COMPARED = ("loss", "grad_norm", "entropy", "reward", "kl", "clip_ratio/region_mean")
MARKS = """
def alphanumeric(text, **columns):
    return sum(character.isascii() and character.isalnum() for character in text) / 5
"""
PLAIN = """
import json, sys
from aligntune import create_rl_trainer
for given in json.loads(sys.argv[1]):
    create_rl_trainer(**given).train()
"""
PATCHED = """
import json, sys
import unsloth, unsloth.models
from aligntune import create_rl_trainer
trainer = create_rl_trainer(**json.loads(sys.argv[1])).setup()
names = ("loss_type", "scale_rewards", "epsilon_high", "mask_truncated_completions")
kinds = [kind.__name__ for kind in type(trainer).__mro__]
print("FOUND", json.dumps([kinds, [getattr(trainer.args, name) for name in names]]))
print("SCALED BY", trainer.scale_rewards)
"""
# Name -> the algorithm, and what it is told; each goes off-policy.
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "grpo": ("grpo", {"num_ppo_epochs": 2}),
    "gspo": ("gspo", {}),
    "dr_grpo": ("dr_grpo", {"num_ppo_epochs": 2}),
    "rloo": ("rloo", {"num_ppo_epochs": 2}),
    "loss dr_grpo": ("grpo", {"num_ppo_epochs": 2, "loss_type": "dr_grpo"}),
    "loss dapo": ("grpo", {"num_ppo_epochs": 2, "loss_type": "dapo"}),
    "loss luspo": ("grpo", {"num_ppo_epochs": 2, "loss_type": "luspo"}),
}


def settings(folder: Path, backend: str, name: str) -> dict[str, Any]:
    algorithm, told = RUNS[name]
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "algorithm": algorithm,
        "backend": backend,
        "output_dir": str(folder / f"{backend}-{name}"),
        "max_steps": 4,
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "num_generations": 4,
        "learning_rate": 3e-3,
        "max_completion_length": 5,
        "max_seq_length": 64,
        "peft_enabled": False,
        "precision": "fp32",
        "logging_steps": 1,
        "save_strategy": "no",
        "loggers": "none",
        "rewards": [{"type": "custom", "params": {"reward_function": "group_marks:alphanumeric"}}],
        **told,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models, rows, and the runs on plain TRL are."""
    folder = tmp_path_factory.mktemp("groups")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(32))
    (folder / "group_marks.py").write_text(MARKS)
    plain = [settings(folder, "trl", name) for name in RUNS]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", PLAIN, json.dumps(plain)]
    subprocess.run(command, check=True, env=environment)
    return folder


def logged(output: str) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (Path(output) / "metrics.jsonl").read_text().splitlines()]
    return [{n: line[n] for n in COMPARED if n in line} for line in lines if "loss" in line]


@pytest.mark.parametrize("name", RUNS)
def test_unsloth_has_the_losses_of_plain_trl(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    given = settings(folder, "unsloth", name)
    create_rl_trainer(**given).train()
    expected = logged(settings(folder, "trl", name)["output_dir"])
    found = logged(given["output_dir"])
    assert len(expected) == 4
    assert expected[-1]["loss"] != pytest.approx(expected[0]["loss"], abs=1e-4)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4, rel=1e-4)


def test_the_trainers_that_unsloth_has_on_a_gpu_keep_the_settings(folder: Path) -> None:
    given = settings(folder, "unsloth", "loss dr_grpo")
    done = subprocess.run(
        [sys.executable, "-c", PATCHED, json.dumps(given)],
        check=True,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    kinds, found = json.loads(line.removeprefix("FOUND"))
    assert "UnslothGRPOTrainer" in kinds
    assert found == ["dr_grpo", "group", 0.2, False]
    assert "SCALED BY group" in done.stdout
