"""The embedded default: SFT makes the model mediocre, GRPO mends it, a random reward does not."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from aligntune.config import load_config
from aligntune.config.assemble import collect
from aligntune.core.backend_factory import trainer_for
from aligntune.errors import RunError
from aligntune.plan import make_plan
from aligntune.quickstart import make, measure, run
from aligntune.quickstart.recipe import problems

# Three seeds take six minutes; CI takes one, `nox -s tests_slow` all.
SEEDS = range(int(os.environ.get("ALIGNTUNE_SEEDS", "3")))


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
    for stage, place in (("sft", "sft"), ("grpo", "grpo")):  # as each run measured it, too
        assert accuracy(folder / place / "evaluation.jsonl") == found[stage]
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


def test_the_configurations_run_again_and_their_models_measure_the_same_by_hand(
    tmp_path: Path, aligntune: Any
) -> None:
    folder = tmp_path / "made"
    few = collect({"batch_size": 8, "max_samples": 8}, "test")
    given = [{"type": "perplexity"}, {"type": "accuracy"}]
    small = collect({"evaluation": {"evaluators": given}}, "test")
    files = make(folder)
    rows = folder / "data" / "test.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:64]))
    for file, steps in zip(files, (8, 1), strict=True):
        one = collect({"max_steps": steps}, "test")
        plan = make_plan(load_config(file, overrides=[*few, *one, *small]))
        done = trainer_for(plan).train()
        assert (done.model / "model.safetensors").is_file()
    table = measure(folder, (0.0, 0.0, 0.0))
    assert [stage.n for stage in table] == [64] * 3
    assert [stage.high for stage in table] == sorted(stage.high for stage in table)
    metrics = "accuracy,perplexity"
    asked = ("--dataset", rows, "--metrics", metrics, "--max-new-tokens", "6", "--json")
    said = aligntune("eval", folder / "sft", folder / "grpo", *asked)
    assert said.code == 0, said.err
    for stage, place, result in zip(table[1:], ("sft", "grpo"), results(said.out), strict=True):
        lines = (folder / place / "evaluation.jsonl").read_text().splitlines()
        run = {line["name"]: line for line in map(json.loads, lines) if line["when"] == "after"}
        assert result["accuracy"]["value"] == run["accuracy"]["value"] == stage.accuracy
        assert (result["accuracy"]["low"], result["accuracy"]["high"]) == (stage.low, stage.high)
        for key in ("value", "n", "stderr", "low", "high"):
            assert result["perplexity"][key] == pytest.approx(run["perplexity"][key], rel=1e-5)


def results(printed: str) -> list[dict[str, Any]]:
    """The metrics of each model, by name."""
    found = json.loads(printed)["results"]
    return [{metric["name"]: metric for metric in each["metrics"]} for each in found]


def test_an_earlier_quickstart_is_not_overwritten(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(RunError, match="earlier quickstart; give --overwrite"):
        run(tmp_path)
