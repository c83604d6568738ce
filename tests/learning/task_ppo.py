"""PPO: completions that are digits."""

from __future__ import annotations

from digits import digits_task

ROLLOUT, EPOCHS, ROLLOUTS = 32, 4, 40

TASK = digits_task(
    "ppo",
    rollout=ROLLOUT,
    max_steps=ROLLOUTS * EPOCHS,
    batch_size=ROLLOUT,
    num_ppo_epochs=EPOCHS,
    kl_coef=0.01,
    missing_eos_penalty=0.0,
)
