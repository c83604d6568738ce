"""Runs end early, and with their best checkpoint, by whatever metric compares them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.errors import ConfigError
from aligntune.testing import addition_rows, make_model, preference_rows, write_jsonl
from aligntune_trl.callbacks import StopEarlyCallback

BEST = {
    "dpo": "eval_rewards/accuracies",
    "orpo": "eval_rewards/accuracies",
    "simpo": "eval_rewards/accuracies",
    "kto": "eval_rewards/margins",
    "online_dpo": "eval_reward",
}


def always(text: str, **columns: Any) -> float:
    return 1.0


@pytest.mark.parametrize("algorithm", BEST)
def test_a_run_that_gets_no_better_stops_and_takes_its_best_checkpoint(
    tmp_path: Path, algorithm: str
) -> None:
    rows = preference_rows(16)
    # What is evaluated is preferred the other way round, so that every step makes it worse.
    worse = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
    reward = [{"type": "custom", "params": {"reward_function": always}}]
    trainer: Any = create_rl_trainer(
        model_name=str(make_model(tmp_path / "model", initializer_range=0.2)),
        dataset_name=str(write_jsonl(tmp_path / "rows.jsonl", rows)),
        eval_datasets=[str(write_jsonl(tmp_path / "worse.jsonl", worse))],
        algorithm=algorithm,
        backend="trl",
        output_dir=str(tmp_path / "run"),
        max_steps=12,
        batch_size=16,
        per_device_eval_batch_size=16,
        learning_rate=1e-2,
        lr_scheduler="constant",
        peft_enabled=False,
        max_seq_length=32,
        max_completion_length=4,
        eval_strategy="steps",
        eval_interval=1,
        save_interval=1,
        early_stopping_patience=2,
        load_best_model_at_end=True,
        metric_for_best_model=BEST[algorithm],
        logging_steps=1,
        precision="fp32",
        loggers="none",
        **({"rewards": reward} if algorithm == "online_dpo" else {}),
    )
    run = trainer.train()
    state = trainer.trainer.state
    seen = {
        line["step"]: line[BEST[algorithm]] for line in state.log_history if BEST[algorithm] in line
    }
    best = min(step for step in seen if seen[step] == max(seen.values()))
    assert max(seen) == state.global_step == best + 2 < 12
    assert Path(state.best_model_checkpoint).name == f"checkpoint-{best}"
    saved = load_file(run.model / "model.safetensors")
    kept = load_file(run.checkpoints / f"checkpoint-{best}" / "model.safetensors")
    last = load_file(run.checkpoints / f"checkpoint-{best + 2}" / "model.safetensors")
    assert all(torch.equal(saved[name], kept[name]) for name in kept)
    if algorithm != "online_dpo":  # with one reward for all there is nothing to learn
        assert not all(torch.equal(saved[name], last[name]) for name in last)


class Scripted:
    """A custom metric that says what it is told to, and counts how often it is asked."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)
        self.__name__ = "scripted"

    def __call__(self, predictions: Sequence[str], references: Sequence[str]) -> float:
        return self.values.pop(0)


def run_by(folder: Path, metric: Scripted, **settings: Any) -> Any:
    rows = str(write_jsonl(folder / "rows.jsonl", addition_rows(8)))
    return create_sft_trainer(
        model_name=str(make_model(folder / "model")),
        dataset_name=rows,
        eval_datasets=[rows],
        backend="trl",
        output_dir=str(folder / "run"),
        max_steps=5,
        batch_size=8,
        learning_rate=3e-3,
        lr_scheduler="constant",
        eval_interval=1,
        save_interval=1,
        metric_for_best_model="scripted",
        evaluation={"custom_metrics": [metric], "max_new_tokens": 2, "compute_rouge": False},
        precision="fp32",
        loggers="none",
        **settings,
    )


@pytest.mark.parametrize("higher", [True, False])
def test_the_best_by_an_evaluator_is_kept_though_the_loss_goes_on_falling(
    tmp_path: Path, higher: bool
) -> None:
    values = [0.3, 0.8, 0.8, 0.5, 0.4]  # of two that are equal, the first stays
    if not higher:
        values = [-value for value in values]
    metric = Scripted(*values, 7.0)
    trainer = run_by(tmp_path, metric, greater_is_better=higher, early_stopping_patience=3)
    run = trainer.train()
    state = trainer.trainer.state
    losses = [line["eval_loss"] for line in state.log_history if "eval_loss" in line]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 5
    assert Path(state.best_model_checkpoint).name == "checkpoint-2"
    assert state.best_metric == values[1]
    saved = load_file(run.model / "model.safetensors")
    kept = load_file(run.checkpoints / "checkpoint-2" / "model.safetensors")
    assert all(torch.equal(saved[name], kept[name]) for name in kept)
    lines = [json.loads(line) for line in run.evaluation.read_text().splitlines()]
    seen = [(line["when"], line["value"]) for line in lines if line["name"] == "scripted"]
    assert seen == [*(("during", value) for value in values), ("after", 7.0)]
    logged = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [line["eval_scripted"] for line in logged if "eval_scripted" in line] == values


def test_a_metric_that_does_not_say_which_way_ends_the_run_at_its_first_evaluation(
    tmp_path: Path,
) -> None:
    trainer = run_by(tmp_path, Scripted(0.1), max_samples=8)
    with pytest.raises(ConfigError, match=r"(?s)neither more nor less 'scripted'.*true or false"):
        trainer.train()
    assert trainer.trainer.state.global_step == 1


def test_evaluations_outside_training_stop_nothing() -> None:
    args: Any = SimpleNamespace(
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        load_best_model_at_end=True,
        eval_strategy="steps",
    )
    state, control = TrainerState(best_metric=1.0), TrainerControl()
    callback = StopEarlyCallback(1, 0.0)
    callback.on_evaluate(args, state, control, metrics={"eval_loss": 2.0})
    assert callback.early_stopping_patience_counter == 0
    callback.on_train_begin(args, state, control)
    callback.on_evaluate(args, state, control, metrics={"eval_loss": 2.0})
    assert control.should_training_stop
    callback.on_train_end(args, state, control)
    callback.on_evaluate(args, state, control, metrics={"eval_loss": 2.0})
    assert callback.early_stopping_patience_counter == 1
    again = StopEarlyCallback(2, 0.0)
    state.stateful_callbacks = {"StopEarlyCallback": callback.state()}  # as a checkpoint keeps it
    again.on_train_begin(args, state, control)
    assert again.early_stopping_patience_counter == 1


def test_a_run_that_is_resumed_stops_where_it_would_have(tmp_path: Path) -> None:
    settings = {"greater_is_better": True, "early_stopping_patience": 2}
    first = run_by(tmp_path, Scripted(0.5, 0.4, 0.4), stop_after_steps=2, **settings)
    first.train()
    again = run_by(tmp_path, Scripted(0.3, 0.2, 0.1, 0.0), **settings)
    again.train(resume=True)
    assert again.trainer.state.global_step == 3
