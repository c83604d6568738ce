"""Neural Mirror GRPO through Unsloth: the numbers of plain TRL, in a process of its own."""

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

COMPARED = (
    "loss",
    "policy_loss",
    "mirror_loss",
    "divergence",
    "kl",
    "grad_norm",
    "entropy",
    "reward",
)
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
    folder = tmp_path_factory.mktemp("mirror")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(32))
    (folder / "mirror_marks.py").write_text(MARKS)
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
        "algorithm": "neural_mirror_grpo",
        "backend": backend,
        "output_dir": str(folder / f"{backend}-{adapter}"),
        "max_steps": 4,
        "batch_size": 4,
        "num_generations": 4,
        "gradient_accumulation_steps": 2,
        "num_ppo_epochs": 2,
        "learning_rate": 1e-3,
        "mirror_coef": 0.5,
        "max_completion_length": 5,
        "max_seq_length": 64,
        "peft_enabled": adapter,
        "precision": "fp32",
        "logging_steps": 1,
        "save_interval": 2,
        "loggers": "none",
        "rewards": [{"type": "custom", "params": {"reward_function": "mirror_marks:digits"}}],
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
    assert expected[3]["mirror_loss"] > 1e-5
    if adapter:  # Unsloth draws the adapter's random start otherwise; at first it changes nothing
        found, expected = ([{**lines[0], "grad_norm": 0.0}] for lines in (found, expected))
    for ours, theirs in zip(found, expected, strict=True):
        assert set(ours) == set(theirs)
        assert ours == pytest.approx(theirs, abs=1e-5, rel=1e-4)


def test_the_adapter_is_taken_off_for_the_reference(folder: Path, tmp_path: Path) -> None:
    more = {"output_dir": str(tmp_path / "run"), "learning_rate": 1e-2}
    run = create_rl_trainer(**settings(folder, "unsloth", adapter=True, **more)).train()
    lines = logged(run.metrics)
    assert lines[0]["divergence"] == pytest.approx(0, abs=1e-9)
    assert lines[3]["divergence"] > 1e-4


def test_accumulated_batches_are_one_update(folder: Path, tmp_path: Path) -> None:
    found = []
    for size, passes in ((8, 1), (4, 2)):
        more = {"output_dir": str(tmp_path / str(size)), "batch_size": size}
        given = settings(folder, "unsloth", **more, gradient_accumulation_steps=passes)
        found.append(logged(create_rl_trainer(**given).train().metrics))
    for whole, parts in zip(*found, strict=True):
        for name in ("loss", "grad_norm", "mirror_loss"):
            assert parts[name] == pytest.approx(whole[name], abs=1e-5, rel=1e-4), name


def test_a_run_through_unsloth_resumes_exactly(folder: Path, tmp_path: Path) -> None:
    def make(name: str, **more: Any) -> Any:
        return create_rl_trainer(
            **settings(folder, "unsloth", **more) | {"output_dir": str(tmp_path / name)}
        )

    whole = logged(make("whole").train().metrics)
    make("parts", stop_after_steps=2).train()
    assert logged(make("parts").train(resume=True).metrics) == whole
