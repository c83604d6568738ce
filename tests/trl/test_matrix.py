"""Every algorithm that is registered for TRL trains there, and measures what it is asked to."""

from __future__ import annotations

import json
import math
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from cells import train_one_step, trainer_of_one_step

from aligntune import plugins
from aligntune.errors import ConfigError
from aligntune_trl.fields.measured import MEASURED

ENTRIES = {entry.name: entry for entry in plugins.get().algorithms if entry.facts.backend == "trl"}
# Algorithms whose model completes nothing, with what is measured of it beside the loss.
NO_TEXT = {
    "text_classification": {"accuracy", "macro_f1"},
    "token_classification": {"accuracy", "macro_f1"},
    "reward_modeling": {"reward_accuracy", "reward_margin"},
}
ALWAYS = {"perplexity", "bits_per_byte", "reward/length"}
SELDOM = {"rouge1", "rouge2", "rougeL", "rougeLsum", "share_of_digits"}


def share_of_digits(predictions: list[str], references: list[str]) -> float:
    return sum(text.isdigit() for text in predictions) / len(references)


def measured(name: str) -> dict[str, Any]:
    """What is asked of the evaluation of an algorithm."""
    if name in NO_TEXT:
        return {"before_training": True}
    return {
        "before_training": True,
        "evaluators": ["perplexity", {"type": "reward", "params": {"reward": "length"}}],
        "compute_rouge": True,
        "custom_metrics": [share_of_digits],
        "max_new_tokens": 2,
        "max_samples": 6,
    }


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_cell_trains_with_an_adapter(name: str, tmp_path: Path) -> None:
    assert train_one_step(ENTRIES[name], tmp_path, adapter=True)["step"] >= 1


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_cell_trains_and_returns_what_evaluation_promises(name: str, tmp_path: Path) -> None:
    trainer = trainer_of_one_step(
        ENTRIES[name],
        tmp_path,
        eval_datasets=[str(tmp_path / "rows.jsonl")],
        eval_strategy="steps",
        eval_interval=1,
        peft_enabled=False,
        load_best_model_at_end=False,
        evaluation=measured(name),
    )
    before = trainer.evaluate()
    run = trainer.train()
    after = trainer.evaluate()
    evaluators = set() if name in NO_TEXT else ALWAYS | SELDOM
    for found in (before, after):
        assert "eval_loss" in found
        assert all(math.isfinite(value) for value in found.values())
        own = {key.removeprefix("eval_") for key in found} - evaluators - {"epoch"}
        unknown = [key for key in own if not any(fnmatchcase(key, p) for p in MEASURED[name])]
        assert not unknown, "MEASURED does not say whether more of these is better"
        assert {f"eval_{metric}" for metric in evaluators} <= found.keys()
        if ENTRIES[name].facts.rewards == "required":
            assert {"eval_reward", "eval_rewards/len/mean"} <= found.keys()
    lines = [json.loads(line) for line in run.evaluation.read_text().splitlines()]
    seen = {(line["when"], line["name"]): line for line in lines}
    each_time = NO_TEXT.get(name, ALWAYS | SELDOM)
    often = {"reward_modeling": set()}.get(name, NO_TEXT.get(name, ALWAYS))
    wanted = {(when, metric) for when in ("before", "after") for metric in each_time}
    assert seen.keys() == wanted | {("during", metric) for metric in often}
    for (when, metric), line in seen.items():
        assert line["n"] == (16 if name in NO_TEXT else 6)
        if metric != "share_of_digits":  # a function of all rows says nothing of one
            assert line["low"] <= line["value"] <= line["high"]
            assert line["stderr"] >= 0
        if when == "after" and metric in evaluators:
            assert after[f"eval_{metric}"] == pytest.approx(line["value"])


@pytest.mark.parametrize("name", sorted(NO_TEXT))
@pytest.mark.parametrize("asked", [{"compute_rouge": True}, {"evaluators": ["perplexity"]}])
def test_a_model_that_completes_nothing_refuses_evaluators_that_are_set(
    name: str, asked: dict[str, Any], tmp_path: Path
) -> None:
    rows = str(tmp_path / "rows.jsonl")
    with pytest.raises(ConfigError, match=r"classifier completes nothing|completes no prompts"):
        trainer_of_one_step(ENTRIES[name], tmp_path, eval_datasets=[rows], evaluation=asked)
