"""PPO by hand, on the last TRL that had it, in an environment of its own.

python raw_ppo.py ppo FOLDER OUTPUT STEPS
prints the clock after each rollout with its updates and peak memory, as JSON, in its last line.
"""

from __future__ import annotations

import sys

import settings
from clock import Clock
from datasets import load_dataset
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer

_, folder, output, steps = sys.argv[1:]

tokenizer = AutoTokenizer.from_pretrained(f"{folder}/model", padding_side="left")
rows = load_dataset("json", data_files=f"{folder}/rows.jsonl", split="train")
rows = rows.map(
    lambda row: {"input_ids": tokenizer(row["prompt"])["input_ids"]},
    remove_columns=rows.column_names,
)


def policy() -> AutoModelForCausalLM:
    return AutoModelForCausalLM.from_pretrained(f"{folder}/model", dtype="float32")


def judge() -> AutoModelForSequenceClassification:
    return AutoModelForSequenceClassification.from_pretrained(
        f"{folder}/judge", num_labels=1, dtype="float32"
    )


clock = Clock()
trainer = PPOTrainer(
    args=PPOConfig(
        output_dir=output,
        per_device_train_batch_size=settings.ROWS,
        num_mini_batches=1,
        num_ppo_epochs=settings.EPOCHS,
        total_episodes=settings.ROWS * int(steps),
        local_rollout_forward_batch_size=settings.ROWS,
        num_sample_generations=0,
        response_length=settings.COMPLETION,
        temperature=1.0,
        stop_token="eos",
        missing_eos_penalty=1.0,
        kl_coef=settings.KL,
        learning_rate=settings.LEARNING_RATE,
        optim="adamw_torch",
        logging_steps=1,
        bf16=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        gradient_checkpointing=False,
    ),
    processing_class=tokenizer,
    model=policy(),
    ref_model=policy(),
    reward_model=judge(),
    value_model=judge(),
    train_dataset=rows,
    eval_dataset=rows.select(range(settings.ROWS)),
    callbacks=[clock],
)
trainer.train()
clock.report()
