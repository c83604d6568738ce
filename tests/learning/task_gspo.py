"""GSPO: completions that are digits."""

from __future__ import annotations

from digits import digits_task

ROLLOUT, UPDATES, ROLLOUTS = 32, 4, 40

TASK = digits_task(
    "gspo",
    rollout=ROLLOUT,
    max_steps=ROLLOUTS * UPDATES,
    batch_size=ROLLOUT // UPDATES,
    num_generations=8,
)
