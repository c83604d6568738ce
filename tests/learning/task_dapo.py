"""DAPO: completions that are digits."""

from __future__ import annotations

from digits import digits_task

ROLLOUT, ROLLOUTS = 32, 60

TASK = digits_task(
    "dapo",
    rollout=ROLLOUT,
    max_steps=ROLLOUTS,
    batch_size=ROLLOUT,
    num_generations=8,
    mask_truncated_completions=False,  # four characters are never a whole answer here
    overlong_cache_length=0,
)
