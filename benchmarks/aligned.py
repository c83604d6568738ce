"""The AlignTune side of the training benchmark, with the settings of `raw_trl.py`.

python aligned.py sft|grpo FOLDER OUTPUT STEPS
prints the clock after each step, as JSON, in its last line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from aligntune import create_rl_trainer, create_sft_trainer

algorithm, folder, output, steps = sys.argv[1:]


def digits(text: str) -> float:
    return sum(c.isascii() and c.isalnum() for c in text) / 8


common: dict[str, Any] = {
    "model_name": f"{folder}/model",
    "dataset_name": f"{folder}/rows.jsonl",
    "backend": "trl",
    "output_dir": output,
    "max_steps": int(steps),
    "batch_size": 32,
    "learning_rate": 1e-4,
    "logging_steps": 1,
    "precision": "fp32",
    "peft_enabled": False,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "loggers": "none",
    "disable_tqdm": True,
}
ours: Any
if algorithm == "sft":
    ours = create_sft_trainer(max_seq_length=64, **common)
else:
    ours = create_rl_trainer(
        algorithm="grpo",
        num_generations=8,
        max_completion_length=16,
        kl_coef=0.05,
        temperature=1.0,
        top_p=1.0,
        rewards=[{"type": "custom", "params": {"reward_function": digits}}],
        **common,
    )
trainer = ours.setup()

from transformers import TrainerCallback  # noqa: E402 (after the trainer, as a user has it)


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.times.append(time.time())


clock = Clock()
trainer.add_callback(clock)
ours.train()
print(json.dumps(clock.times))
