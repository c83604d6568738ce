"""RLOO: completions that are digits."""

from __future__ import annotations

from digits import digits_task

ROLLOUT, ROLLOUTS = 32, 80

TASK = digits_task(
    "rloo",
    rollout=ROLLOUT,
    max_steps=ROLLOUTS,
    batch_size=ROLLOUT,
    num_generations=8,
    kl_coef=0.05,
)
