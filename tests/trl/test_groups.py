"""Runs of the algorithms on groups of completions: how they differ, and how they resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

Logs = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("groups")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(32))
    return folder


def alphanumeric(text: str, **columns: Any) -> float:
    return sum(character.isascii() and character.isalnum() for character in text) / 5


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    def to(algorithm: str, **settings: Any) -> Any:
        given: dict[str, Any] = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "algorithm": algorithm,
            "backend": "trl",
            "output_dir": str(tmp_path / algorithm),
            "max_steps": 8,
            "batch_size": 4,
            "num_generations": 4,
            "learning_rate": 3e-3,
            "max_completion_length": 5,
            "peft_enabled": False,
            "precision": "fp32",
            "logging_steps": 1,
            "save_interval": 4,
            "loggers": "none",
            "seed": 3,
            "rewards": [{"type": "custom", "params": {"reward_function": alphanumeric}}],
        }
        return create_rl_trainer(**given | settings)

    return to


def logged(run: Any) -> Logs:
    """What was logged at each step; times, and TRL's count of tokens, are left out."""
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    other = ("time", "step_time", "epoch", "num_tokens")
    return [{n: v for n, v in line.items() if n not in other} for line in lines if "loss" in line]


# Each has checkpoints at the end of a generation that serves several steps.
RESUMED: list[tuple[str, dict[str, Any]]] = [
    ("gspo", {}),
    ("gspo", {"gradient_accumulation_steps": 2, "peft_enabled": True}),
    ("dr_grpo", {"num_ppo_epochs": 2}),
    ("rloo", {"num_ppo_epochs": 2, "rollout_batch_size": 8}),
]


@pytest.mark.parametrize(("algorithm", "settings"), RESUMED, ids=range(len(RESUMED)))
def test_a_run_that_resumes_goes_on_exactly(
    make: Callable[..., Any], tmp_path: Path, algorithm: str, settings: dict[str, Any]
) -> None:
    whole = make(algorithm, **settings, output_dir=str(tmp_path / "whole")).train()
    make(algorithm, **settings, stop_after_steps=4).train()
    parts = make(algorithm, **settings).train(resume=True)
    assert logged(parts) == logged(whole)
    assert len(logged(whole)) == 8
    expected, found = (load_file(next(run.model.glob("*.safetensors"))) for run in (whole, parts))
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_a_run_that_resumes_in_a_later_pass_has_the_prompts_of_that_pass(
    make: Callable[..., Any], folder: Path, tmp_path: Path, algorithm: str
) -> None:
    write_jsonl(folder / "few.jsonl", addition_rows(3))
    settings = {"dataset_name": str(folder / "few.jsonl"), "batch_size": 8, "max_steps": 6}
    whole = make(algorithm, **settings, output_dir=str(tmp_path / "whole")).train()
    make(algorithm, **settings, stop_after_steps=4).train()
    parts = make(algorithm, **settings).train(resume=True)
    assert logged(parts) == logged(whole)
    prompts = [
        {line["prompt"] for line in run.read_jsonl(run.samples) if line["step"] == 5}
        for run in (whole, parts)
    ]
    assert prompts[0] == prompts[1]


MOVING = {"sync_ref_model": True, "ref_model_sync_steps": 2, "learning_rate": 1e-2}


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("grpo", {"kl_coef": 0.5}),
        ("rloo", {"kl_coef": 0.5}),
        ("neural_mirror_grpo", {"mirror_coef": 0.5}),
        ("ppo", {"kl_coef": 0.5, "num_generations": None, "num_ppo_epochs": 1}),
    ],
)
def test_a_reference_that_follows_the_policy_is_where_it_was_when_a_run_resumes(
    make: Callable[..., Any], tmp_path: Path, algorithm: str, settings: dict[str, Any]
) -> None:
    whole = make(algorithm, **MOVING, **settings, output_dir=str(tmp_path / "whole")).train()
    make(algorithm, **MOVING, **settings, stop_after_steps=4).train()
    parts = make(algorithm, **MOVING, **settings).train(resume=True)
    assert logged(parts) == logged(whole)
    assert max(line["kl"] for line in logged(whole)) > 1e-4


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_an_evaluation_leaves_training_as_it_is(
    make: Callable[..., Any], folder: Path, tmp_path: Path, algorithm: str
) -> None:
    plain = logged(make(algorithm, output_dir=str(tmp_path / "plain")).train())
    held_out = {"eval_datasets": [{"name": str(folder / "rows.jsonl")}]}
    run = make(algorithm, **held_out, eval_strategy="steps", eval_interval=3).train()
    assert sum("eval_loss" in line for line in run.read_jsonl(run.metrics)) >= 2
    assert logged(run) == plain


def test_gspo_clips_only_after_the_first_update_of_a_generation(make: Callable[..., Any]) -> None:
    lines = logged(make("gspo").train())
    assert ["reward" in line for line in lines] == [True, False, False, False] * 2
    clipped = [line["clip_ratio/region_mean"] for line in lines]
    assert clipped[0] == clipped[4] == 0
    assert max(clipped) > 0.2, "nothing was clipped"
    assert all("kl" not in line for line in lines)


def test_on_policy_gspo_is_grpo_and_says_so(
    make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"rollout_batch_size": 4, "max_steps": 3, "max_completion_length": 3}
    gspo = logged(make("gspo", **settings).train())
    assert "completions serve one update, in which GSPO is GRPO" in caplog.text
    grpo = logged(make("grpo", **settings, kl_coef=0.0, cliprange=3e-4).train())
    for ours, theirs in zip(gspo, grpo, strict=True):
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)


@pytest.mark.parametrize("algorithm", ["grpo", "dr_grpo", "gspo", "rloo"])
def test_accumulated_passes_are_one_update(make: Callable[..., Any], algorithm: str) -> None:
    """Of completions of one token, so that every mean of means is the mean."""
    settings = {"max_completion_length": 1, "rollout_batch_size": 8, "max_steps": 2}
    whole = logged(make(algorithm, batch_size=8, **settings).train())
    parts = make(algorithm, batch_size=4, gradient_accumulation_steps=2, **settings)
    for part, one in zip(logged(parts.train(overwrite=True)), whole, strict=True):
        assert part["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert part["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)


def test_in_rloo_a_larger_kl_coefficient_costs_reward(make: Callable[..., Any]) -> None:
    settings: dict[str, Any] = {"max_steps": 2, "save_strategy": "no", "save_interval": 500}
    one, other = (
        logged(make("rloo", **settings, kl_coef=coef).train(overwrite=True)) for coef in (0.0, 1.0)
    )
    assert "kl" not in one[0]
    assert one[0]["grad_norm"] == pytest.approx(other[0]["grad_norm"])  # no divergence yet
    assert one[1]["grad_norm"] != pytest.approx(other[1]["grad_norm"])
