"""The embedded default: SFT makes the model mediocre, GRPO mends it, a random reward does not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from aligntune.config import load_config
from aligntune.config.assemble import collect
from aligntune.core.backend_factory import trainer_for
from aligntune.errors import RunError
from aligntune.plan import make_plan
from aligntune.quickstart import make, run
from aligntune.quickstart.recipe import problems

SEEDS = (0, 1, 2)


def accuracy(path: Path) -> float:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return next(row["value"] for row in reversed(rows) if row["name"] == "accuracy")


def coin(text: str, reference: str | None = None, prompt: str = "") -> float:
    """A reward that depends on what was written, and not on whether it is right."""
    return float(hashlib.sha256(f"{prompt}|{text}".encode()).digest()[0] & 1)


@pytest.fixture(scope="module", params=SEEDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quickstart") / str(request.param)
    run(folder, seed=request.param)
    return folder


@pytest.mark.slow
def test_grpo_lifts_what_sft_left_mediocre_and_a_random_reward_does_not(folder: Path) -> None:
    report = json.loads((folder / "quickstart.json").read_text())
    found = report["accuracy"]
    assert report["n"] >= 200
    assert found["untrained"] < 0.05
    assert 0.2 <= found["sft"] <= 0.7
    assert found["grpo"] >= found["sft"] + 0.2
    for stage in ("sft", "grpo"):
        assert (folder / stage / "report.html").stat().st_size > 0
        assert report["seconds"][stage] > 0

    rewards = [{"type": "custom", "params": {"reward_function": coin}}]
    changed = collect({"rewards": rewards, "output_dir": str(folder / "control")}, "control")
    control = trainer_for(make_plan(load_config(folder / "grpo.yaml", overrides=changed))).train()
    assert accuracy(control.evaluation) <= found["sft"] + 0.05


def test_no_held_out_problem_is_trained_on() -> None:
    sft, grpo, test = ({row["prompt"] for row in rows} for rows in problems())
    assert len(test) >= 200
    assert not test & (sft | grpo)
    assert not sft & grpo


def test_the_configurations_are_files_that_run_again(tmp_path: Path) -> None:
    for file in make(tmp_path / "made"):
        few = collect({"max_steps": 1, "batch_size": 8, "max_samples": 8}, "test")
        small = collect({"evaluation": {"max_samples": 8}}, "test")
        done = trainer_for(make_plan(load_config(file, overrides=[*few, *small]))).train()
        assert (done.model / "model.safetensors").is_file()


def test_an_earlier_quickstart_is_not_overwritten(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(RunError, match="earlier quickstart; give --overwrite"):
        run(tmp_path)
