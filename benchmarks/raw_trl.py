"""The hand-written side: a TRL script as one writes it, with the settings of `aligned.py`.

python raw_trl.py sft|dpo|grpo FOLDER OUTPUT STEPS
prints the clock after each step and peak memory, as JSON, in its last line.
"""

from __future__ import annotations

import sys
from typing import Any

import settings
import trl
from clock import Clock
from datasets import load_dataset

algorithm, folder, output, steps = sys.argv[1:]


def digits(completions: list[str], **columns: Any) -> list[float]:
    return [settings.digits(text) for text in completions]


clock = Clock()
name = "pairs" if algorithm == "dpo" else "rows"
rows = load_dataset("json", data_files=f"{folder}/{name}.jsonl", split="train")
common: dict[str, Any] = {
    "output_dir": output,
    "model_init_kwargs": {"dtype": "float32"},
    "max_steps": int(steps),
    "per_device_train_batch_size": settings.ROWS,
    "learning_rate": settings.LEARNING_RATE,
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
        args=trl.SFTConfig(max_length=settings.SEQUENCE, **common),
        train_dataset=rows.select_columns(["prompt", "completion"]),
        callbacks=[clock],
    )
elif algorithm == "dpo":
    trainer = trl.DPOTrainer(
        model=f"{folder}/model",
        args=trl.DPOConfig(max_length=settings.SEQUENCE, beta=settings.BETA, **common),
        train_dataset=rows.select_columns(["prompt", "chosen", "rejected"]),
        callbacks=[clock],
    )
else:
    trainer = trl.GRPOTrainer(
        model=f"{folder}/model",
        reward_funcs=digits,
        args=trl.GRPOConfig(
            num_generations=settings.GROUP,
            max_completion_length=settings.COMPLETION,
            beta=settings.KL,
            loss_type="grpo",
            temperature=1.0,
            use_bias_correction_kl=False,
            **common,
        ),
        train_dataset=rows,
        callbacks=[clock],
    )
trainer.train()
clock.report()
