"""Meta-ES through Unsloth: its candidates are runs through Unsloth, and it goes on exactly."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from aligntune import create_rl_trainer
from aligntune.run import RunDirectory
from aligntune.testing import addition_rows, make_model, write_jsonl

MARKS = """
def digits(text, **columns):
    return sum(character in "0123456789" for character in text) / 4
def letters(text, **columns):
    return sum(character.isascii() and character.isalpha() for character in text) / 4
"""
REWARDS = [
    {"type": "custom", "params": {"reward_function": "es_marks:digits"}},
    {"type": "custom", "params": {"reward_function": "es_marks:letters"}},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meta_es")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(24))
    write_jsonl(folder / "held.jsonl", addition_rows(6))
    (folder / "es_marks.py").write_text(MARKS)
    return folder


@pytest.fixture(autouse=True)
def marks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rewards can be imported, here and in a child process."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


def settings(folder: Path, to: Path, **more: Any) -> dict[str, Any]:
    es = {"meta_iterations": 1, "N": 2, "T": 2, "sigma": 0.5, "eval_max_tokens": 4}
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "eval_datasets": [str(folder / "held.jsonl")],
        "algorithm": "meta_es",
        "backend": "unsloth",
        "output_dir": str(to),
        "batch_size": 4,
        "learning_rate": 1e-2,
        "lr_scheduler": "constant",
        "temperature": 1.0,
        "max_completion_length": 4,
        "max_seq_length": 64,
        "peft_enabled": False,
        "precision": "fp32",
        "save_strategy": "no",
        "loggers": "none",
        "seed": 3,
        "rewards": REWARDS,
        **more,
        "meta_es": es | more.get("meta_es", {}),
    }


def fitness(run: RunDirectory) -> list[float]:
    found = [json.loads(line) for line in run.candidates.read_text().splitlines()]
    return [line["fitness"] for line in sorted(found, key=lambda line: line["candidate"])]


def test_a_run_through_unsloth_is_one_of_its_candidates_and_goes_on_exactly(
    folder: Path, tmp_path: Path
) -> None:
    run = create_rl_trainer(**settings(folder, tmp_path / "run")).train()
    assert None not in fitness(run)
    best = json.loads((run.evolution / "best.json").read_text())
    assert best["fitness"] == max(fitness(run))

    given = settings(folder, tmp_path / "by_hand", algorithm="grpo", max_steps=2)
    del given["meta_es"]
    given["rewards"] = [
        {**reward, "weight": weight}
        for reward, weight in zip(REWARDS, best["parameters"].values(), strict=True)
    ]
    by_hand = create_rl_trainer(**given).train()
    found, expected = (load_file(r.model / "model.safetensors") for r in (run, by_hand))
    assert all(torch.equal(found[name], expected[name]) for name in expected)

    shutil.copytree(run.path, tmp_path / "killed")
    killed = RunDirectory(tmp_path / "killed")
    first = killed.candidates.read_text().splitlines(keepends=True)[0]
    killed.candidates.write_text(first)
    shutil.rmtree(killed.model)
    create_rl_trainer(**settings(folder, killed.path)).train(resume=True)
    assert fitness(killed) == fitness(run)
    again = load_file(killed.model / "model.safetensors")
    assert all(torch.equal(again[name], expected[name]) for name in expected)


def test_a_mirror_map_evolves_with_an_adapter(folder: Path, tmp_path: Path) -> None:
    lora = {"peft_enabled": True, "lora_rank": 4, "target_modules": ["q_proj", "v_proj"]}
    given = settings(folder, tmp_path / "run", **lora, rewards=REWARDS[:1], meta_es={"T": 1})
    run = create_rl_trainer(**given).train()
    assert None not in fitness(run)
    assert (run.evolution / "mirror_map.safetensors").is_file()
    assert (run.model / "adapter_model.safetensors").is_file()


@pytest.mark.slow
def test_workers_import_unsloth_first(folder: Path, tmp_path: Path) -> None:
    one = create_rl_trainer(**settings(folder, tmp_path / "one", meta_es={"T": 1})).train()
    more = settings(folder, tmp_path / "two", meta_es={"T": 1, "num_workers": 2})
    assert fitness(create_rl_trainer(**more).train()) == fitness(one)
