"""The settings that both sides of the training benchmark have."""

from __future__ import annotations

ROWS = 32  # of a step; in GRPO and PPO, completions
LEARNING_RATE = 1e-4
SEQUENCE = 64  # longest row of SFT and DPO, in tokens
COMPLETION = 16  # longest completion of GRPO and PPO, in tokens
GROUP = 8  # GRPO
BETA = 0.1  # DPO
KL = 0.05  # GRPO and PPO
EPOCHS = 4  # PPO: updates of a rollout


def digits(text: str) -> float:
    return sum(c.isascii() and c.isalnum() for c in text) / 8
