"""A run whose reward is normalized by a running mean: checkpoints, evaluation, exact resumption."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

STEPS, BATCH = 4, 4


def spread(text: str) -> float:
    """Something that differs between random completions, and is far from 0."""
    return 50 + sum(map(ord, text)) % 97 / 97


def run(folder: Path, **more: Any) -> Any:
    return create_rl_trainer(
        algorithm="grpo",
        backend="trl",
        model_name=str(folder / "model"),
        dataset_name=str(folder / "rows.jsonl"),
        eval_dataset=str(folder / "rows.jsonl"),
        rewards=[
            {"type": "custom", "params": {"reward_function": spread}, "normalize": True},
            {"type": "length", "weight": 0.1},
        ],
        precision="fp32",
        batch_size=BATCH,
        num_generations=2,
        max_completion_length=4,
        max_steps=STEPS,
        save_interval=2,
        eval_strategy="steps",
        eval_interval=1,
        logging_steps=1,
        learning_rate=0.01,
        loggers="none",
        **more,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    kept = [line for line in read if "train_runtime" not in line]
    timed = ("time", "runtime", "per_second")
    return [{k: v for k, v in line.items() if not k.endswith(timed)} for line in kept]


def moments(checkpoint: Path) -> dict[str, Any]:
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    saved: dict[str, Any] = state["stateful_callbacks"]["ScorerCallback"]["attributes"]["running"]
    return saved


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("normalized")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", addition_rows(8))
    run(folder, output_dir=str(folder / "run")).train()
    return folder


def test_evaluation_does_not_count_and_raw_values_are_logged(finished: Path) -> None:
    saved = moments(finished / "run" / "checkpoints" / f"checkpoint-{STEPS}")
    assert saved.keys() == {"spread"}
    assert saved["spread"]["count"] == STEPS * BATCH
    assert 50 < saved["spread"]["mean"] < 51
    trained = [line for line in lines(finished / "run") if "loss" in line]
    assert len(trained) == STEPS
    for line in trained:
        assert 50 <= line["rewards/spread/mean"] <= 51
        assert abs(line["reward"]) < 5


def test_a_resumed_run_ends_where_the_uninterrupted_one_does(
    finished: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished / "run", copy)
    shutil.rmtree(copy / "checkpoints" / f"checkpoint-{STEPS}")
    shutil.rmtree(copy / "model")
    run(finished, output_dir=str(copy)).train(resume=True)
    last = f"checkpoint-{STEPS}"
    before, after = (moments(place / "checkpoints" / last) for place in (finished / "run", copy))
    assert after == before
    assert lines(copy) == lines(finished / "run")
