"""Online DPO: completions that are digits."""

from __future__ import annotations

from digits import digits_task

ROLLOUT, ROLLOUTS = 32, 80

TASK = digits_task(
    "online_dpo",
    rollout=ROLLOUT,
    max_steps=ROLLOUTS,
    batch_size=ROLLOUT,
    beta=0.1,
)
