"""The AlignTune side of the training benchmark; `raw_trl.py` and `raw_ppo.py` are the other.

python aligned.py sft|dpo|grpo|ppo FOLDER OUTPUT STEPS
prints the clock after each step and peak memory, as JSON, in its last line. A step of PPO is a
rollout with its updates.
"""

from __future__ import annotations

import sys
from typing import Any

import settings

from aligntune import create_rl_trainer, create_sft_trainer

algorithm, folder, output, steps = sys.argv[1:]
updates = settings.EPOCHS if algorithm == "ppo" else 1
common: dict[str, Any] = {
    "model_name": f"{folder}/model",
    "dataset_name": f"{folder}/{'pairs' if algorithm == 'dpo' else 'rows'}.jsonl",
    "backend": "trl",
    "output_dir": output,
    "max_steps": int(steps) * updates,
    "batch_size": settings.ROWS,
    "learning_rate": settings.LEARNING_RATE,
    "logging_steps": 1,
    "precision": "fp32",
    "peft_enabled": False,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "loggers": "none",
    "disable_tqdm": True,
}
sampled: dict[str, Any] = {
    "max_completion_length": settings.COMPLETION,
    "kl_coef": settings.KL,
    "temperature": 1.0,
    "top_p": 1.0,
}
ours: Any
if algorithm == "sft":
    ours = create_sft_trainer(max_seq_length=settings.SEQUENCE, **common)
elif algorithm == "dpo":
    ours = create_rl_trainer(
        algorithm="dpo", max_seq_length=settings.SEQUENCE, beta=settings.BETA, **common
    )
elif algorithm == "grpo":
    ours = create_rl_trainer(
        algorithm="grpo",
        num_generations=settings.GROUP,
        rewards=[{"type": "custom", "params": {"reward_function": settings.digits}}],
        **sampled,
        **common,
    )
else:
    ours = create_rl_trainer(
        algorithm="ppo",
        num_ppo_epochs=settings.EPOCHS,
        reward_model_name=f"{folder}/judge",
        reward_value_model=f"{folder}/judge",
        **sampled,
        **common,
    )
trainer = ours.setup()

from clock import Clock  # noqa: E402 (after the trainer, as a user has it)

clock = Clock()
trainer.add_callback(clock)
ours.train()
clock.report(every=updates)
