"""PPO learns what is rewarded, and nothing from a reward that has nothing to do with it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

pytestmark = pytest.mark.slow

LORA: dict[str, Any] = {"lora_rank": 16, "target_modules": "all-linear"}
ROLLOUT, EPOCHS, ROLLOUTS = 32, 4, 40


def share_of_digits(text: str) -> float:
    return sum(character.isascii() and character.isdigit() for character in text) / 4


def shares(folder: Path, seed: int, *, coin: bool, adapter: bool) -> tuple[float, float]:
    """Mean share of digits in the first and in the last five rollouts of a run."""
    # An adapter leaves the output embeddings as they are, which must be able to say something.
    make_model(folder / "model", seed=seed, initializer_range=0.2 if adapter else 0.02)
    write_jsonl(folder / "rows.jsonl", addition_rows(256))
    toss, seen = random.Random(seed), []

    def reward(text: str, **columns: Any) -> float:
        seen.append(share_of_digits(text))
        return float(toss.random() < 0.5) if coin else seen[-1]

    create_rl_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / "rows.jsonl"),
        algorithm="ppo",
        backend="trl",
        output_dir=str(folder / "run"),
        max_steps=ROLLOUTS * EPOCHS,
        batch_size=ROLLOUT,
        num_ppo_epochs=EPOCHS,
        learning_rate=1e-2 if adapter else 3e-3,
        lr_scheduler="constant",
        kl_coef=0.01,
        missing_eos_penalty=0.0,
        temperature=1.0,
        top_p=1.0,
        max_completion_length=4,
        peft_enabled=adapter,
        **(LORA if adapter else {}),
        precision="fp32",
        save_strategy="no",
        loggers="none",
        seed=seed,
        rewards=[{"type": "custom", "params": {"reward_function": reward}}],
    ).train()
    few = 5 * ROLLOUT
    return sum(seen[:few]) / few, sum(seen[-few:]) / few


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_digits_that_are_rewarded_are_written(tmp_path: Path, seed: int, adapter: bool) -> None:
    first, last = shares(tmp_path, seed, coin=False, adapter=adapter)
    assert first < 0.15
    assert last > first + 0.25


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_coin_that_is_rewarded_teaches_nothing(tmp_path: Path, seed: int) -> None:
    first, last = shares(tmp_path, seed, coin=True, adapter=False)
    assert abs(last - first) < 0.1
