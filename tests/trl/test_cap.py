"""A capped run is the beginning of the whole run, and ends as a run does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aligntune import RunDirectory, create_rl_trainer, create_sft_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

VARIABLE = "ALIGNTUNE_MAX_STEPS"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cap")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    return folder


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": "trl",
        "output_dir": str(tmp_path / "run"),
        "precision": "fp32",
        "batch_size": 4,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "loggers": "none",
    }


def steps(run: RunDirectory, name: str) -> dict[int, float]:
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


def test_it_is_the_beginning_of_the_whole_run(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"epochs": 2, "warmup_steps": 3, "eval_dataset": settings["dataset_name"]}
    whole = create_sft_trainer(**settings, **more).train()
    monkeypatch.setenv(VARIABLE, "3")
    settings["output_dir"] = str(tmp_path / "capped")
    capped = create_sft_trainer(**settings, **more).train()
    for name in ("loss", "learning_rate"):
        assert list(steps(whole, name)) == [1, 2, 3, 4, 5, 6, 7, 8]
        first = {step: value for step, value in steps(whole, name).items() if step <= 3}
        assert steps(capped, name) == first
    assert list(steps(capped, "eval_loss")) == [3]
    assert capped.last_checkpoint() == capped.checkpoints / "checkpoint-3"
    assert capped.model.is_dir()


def test_a_run_that_is_shorter_stays_as_it_is(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "99")
    run = create_sft_trainer(**settings, epochs=1).train()
    assert list(steps(run, "loss")) == [1, 2, 3, 4]


def test_it_goes_on_without_the_cap(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "2")
    create_sft_trainer(**settings, epochs=1).train()
    monkeypatch.delenv(VARIABLE)
    resumed = create_sft_trainer(**settings, epochs=1).train(resume=True)
    other = {**settings, "output_dir": str(tmp_path / "whole")}
    assert steps(resumed, "loss") == steps(create_sft_trainer(**other, epochs=1).train(), "loss")


PAIRS = [{"prompt": f"{n}+1=", "chosen": str(n + 1), "rejected": "no"} for n in range(16)]
GENERATING: dict[str, Any] = {"rewards": ["length"], "max_completion_length": 4}


@pytest.mark.parametrize(
    ("algorithm", "more"), [("dpo", {}), ("grpo", GENERATING), ("ppo", GENERATING)]
)
def test_it_caps_the_steps_of_every_algorithm(
    algorithm: str,
    more: dict[str, Any],
    settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if algorithm == "dpo":
        settings["dataset_name"] = str(write_jsonl(tmp_path / "pairs.jsonl", PAIRS))
    monkeypatch.setenv(VARIABLE, "2")
    run = create_rl_trainer(**settings, **more, algorithm=algorithm, max_steps=5).train()
    assert list(steps(run, "loss")) == [1, 2]
