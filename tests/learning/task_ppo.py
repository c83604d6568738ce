"""PPO: completions that are digits."""

from __future__ import annotations

import random
from typing import Any

from learning import Cell, Task, quiet

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

ROLLOUT, EPOCHS, ROLLOUTS = 32, 4, 40


def share_of_digits(text: str) -> float:
    return sum(character.isascii() and character.isdigit() for character in text) / 4


def run(cell: Cell) -> tuple[float, float]:
    """Mean share of digits in the first and in the last five rollouts of a run."""
    # An adapter leaves the output embeddings as they are, which must be able to say something.
    spread = 0.2 if cell.adapter else 0.02
    make_model(cell.folder / "model", seed=cell.seed, initializer_range=spread)
    write_jsonl(cell.folder / "rows.jsonl", addition_rows(256))
    toss, seen = random.Random(cell.seed), []

    def reward(text: str, **columns: Any) -> float:
        seen.append(share_of_digits(text))
        return seen[-1] if cell.signal else float(toss.random() < 0.5)

    create_rl_trainer(
        **quiet(cell),
        model_name=str(cell.folder / "model"),
        dataset_name=str(cell.folder / "rows.jsonl"),
        algorithm="ppo",
        max_steps=ROLLOUTS * EPOCHS,
        batch_size=ROLLOUT,
        num_ppo_epochs=EPOCHS,
        learning_rate=1e-2 if cell.adapter else 3e-3,
        lr_scheduler="constant",
        kl_coef=0.01,
        missing_eos_penalty=0.0,
        temperature=1.0,
        top_p=1.0,
        max_completion_length=4,
        rewards=[{"type": "custom", "params": {"reward_function": reward}}],
    ).train()
    few = 5 * ROLLOUT
    return sum(seen[:few]) / few, sum(seen[-few:]) / few


TASK = Task(
    algorithm="ppo",
    about="digits among four characters are rewarded; the control is rewarded by a coin",
    metric="share of digits in completions",
    run=run,
    gain=0.25,
    drift=0.1,
)
