"""DPO learns what the preferences say, on pairs it has not seen; from a coin it learns nothing."""

from __future__ import annotations

import itertools
import random
import string
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer
from aligntune.testing import make_model, write_jsonl

TRAINED, HELD_OUT = 450, 200


def letters(*, coin: bool) -> list[dict[str, str]]:
    """Of two letters the later one is chosen; with a coin, either is."""
    rng = random.Random(0)
    pairs = list(itertools.permutations(string.ascii_lowercase, 2))
    rng.shuffle(pairs)
    rows = []
    for number, pair in enumerate(pairs):
        rejected, chosen = sorted(pair)
        if coin and number < TRAINED and rng.random() < 0.5:
            rejected, chosen = chosen, rejected
        rows.append({"prompt": ",".join(pair) + ":", "chosen": chosen, "rejected": rejected})
    return rows


def held_out_accuracy(folder: Path, *, coin: bool) -> tuple[float, float]:
    """The share of unseen pairs whose chosen completion has the higher reward, and the margin."""
    rows = letters(coin=coin)
    settings: dict[str, Any] = {"beta": 0.3, "peft_enabled": False, "precision": "fp32"}
    trainer = create_rl_trainer(
        model_name=str(make_model(folder / "model", hidden_size=64, intermediate_size=128)),
        dataset_name=str(write_jsonl(folder / "rows.jsonl", rows[:TRAINED])),
        eval_datasets=[str(write_jsonl(folder / "held.jsonl", rows[TRAINED:]))],
        algorithm="dpo",
        backend="trl",
        output_dir=str(folder / "run"),
        max_steps=60,
        batch_size=32,
        per_device_eval_batch_size=HELD_OUT,
        learning_rate=3e-3,
        max_seq_length=16,
        max_completion_length=2,
        loggers="none",
        **settings,
    )
    trainer.train()
    found = trainer.evaluate()
    return found["eval_rewards/accuracies"], found["eval_rewards/margins"]


@pytest.mark.slow
def test_preferences_are_learned_and_a_coin_is_not(tmp_path: Path) -> None:
    accuracy, margin = held_out_accuracy(tmp_path / "order", coin=False)
    assert accuracy > 0.9
    assert margin > 1
    assert held_out_accuracy(tmp_path / "coin", coin=True)[0] < 0.65
