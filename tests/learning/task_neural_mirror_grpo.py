"""Neural Mirror GRPO: completions that are digits."""

from __future__ import annotations

from digits import digits_task

ROLLOUT, ROLLOUTS = 32, 80

TASK = digits_task(
    "neural_mirror_grpo",
    rollout=ROLLOUT,
    max_steps=ROLLOUTS,
    batch_size=ROLLOUT,
    num_generations=8,
)
