"""Runs that learn from preferences end early, and end with their best checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from aligntune import create_rl_trainer
from aligntune.testing import make_model, preference_rows, write_jsonl

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
