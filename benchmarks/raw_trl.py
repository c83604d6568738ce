"""The hand-written side: a TRL script as one writes it, with the settings of `aligned.py`.

python raw_trl.py sft|grpo FOLDER OUTPUT STEPS
prints the clock after each step, as JSON, in its last line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import trl
from datasets import load_dataset
from transformers import TrainerCallback

algorithm, folder, output, steps = sys.argv[1:]


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.times.append(time.time())


def digits(completions: list[str], **columns: Any) -> list[float]:
    return [sum(c.isascii() and c.isalnum() for c in text) / 8 for text in completions]


clock = Clock()
rows = load_dataset("json", data_files=f"{folder}/rows.jsonl", split="train")
common: dict[str, Any] = {
    "output_dir": output,
    "model_init_kwargs": {"dtype": "float32"},
    "max_steps": int(steps),
    "learning_rate": 1e-4,
    "optim": "adamw_torch",
    "logging_steps": 1,
    "bf16": False,
    "use_cpu": True,
    "report_to": [],
    "save_strategy": "no",
    "disable_tqdm": True,
    "gradient_checkpointing": False,
}
trainer: Any
if algorithm == "sft":
    trainer = trl.SFTTrainer(
        model=f"{folder}/model",
        args=trl.SFTConfig(per_device_train_batch_size=32, max_length=64, **common),
        train_dataset=rows.select_columns(["prompt", "completion"]),
        callbacks=[clock],
    )
else:
    trainer = trl.GRPOTrainer(
        model=f"{folder}/model",
        reward_funcs=digits,
        args=trl.GRPOConfig(
            per_device_train_batch_size=32,
            num_generations=8,
            max_completion_length=16,
            beta=0.05,
            loss_type="grpo",
            temperature=1.0,
            use_bias_correction_kl=False,
            **common,
        ),
        train_dataset=rows,
        callbacks=[clock],
    )
trainer.train()
print(json.dumps(clock.times))
