"""Reward models with Unsloth's trainer: a hand-written script's numbers; trained within a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification

from aligntune import create_rl_trainer
from aligntune.testing import (
    addition_rows,
    make_model,
    make_tokenizer,
    preference_rows,
    write_jsonl,
)
from aligntune_rewards import RewardModelReward

STEPS = 4
COMPARED = ("loss", "grad_norm", "learning_rate", "accuracy", "margin")
LORA: dict[str, Any] = {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reward")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "pairs.jsonl", preference_rows(48))
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    return folder


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [{n: line[n] for n in COMPARED} for line in history if "loss" in line]


def run_of(folder: Path, output: Path, rows: str, **settings: Any) -> Any:
    return create_rl_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / rows),
        backend="unsloth",
        output_dir=str(output),
        batch_size=4,
        learning_rate=3e-3,
        max_seq_length=64,
        logging_steps=1,
        seed=7,
        precision="fp32",
        loggers="none",
        **settings,
    )


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_reward_model_has_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, adapter: bool
) -> None:
    data = Dataset.from_json(str(folder / "pairs.jsonl"), cache_dir=str(tmp_path / "cache"))
    torch.manual_seed(7)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder / "model", num_labels=1, dtype=torch.float32
    )
    tokenizer = make_tokenizer()
    model.config.pad_token_id = tokenizer.pad_token_id
    if adapter:
        model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=4, **LORA))
    raw = trl.RewardTrainer(
        model=model,
        processing_class=tokenizer,
        args=trl.RewardConfig(
            output_dir=str(tmp_path / "raw"),
            max_steps=STEPS,
            per_device_train_batch_size=4,
            learning_rate=3e-3,
            weight_decay=0.01,
            optim="adamw_torch",
            lr_scheduler_type="cosine",
            max_length=64,
            gradient_checkpointing=False,
            logging_steps=1,
            seed=7,
            data_seed=47,
            bf16=False,
            fp16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
        ),
        train_dataset=data.select_columns(["prompt", "chosen", "rejected"]),
    )
    raw.train()
    expected = by_step(raw.state.log_history)
    assert len({line["loss"] for line in expected}) == STEPS
    adapted = {"lora_rank": 4, **LORA} if adapter else {}
    settings = {"algorithm": "reward_modeling", "max_steps": STEPS, "peft_enabled": adapter}
    run = run_of(folder, tmp_path / "ours", "pairs.jsonl", **settings, **adapted).train()
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert by_step(lines) == [pytest.approx(line, abs=1e-6) for line in expected]


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    folder: Path, tmp_path: Path, adapter: bool
) -> None:
    settings: dict[str, Any] = {"algorithm": "reward_modeling", "max_steps": 4, "save_interval": 2}
    settings |= {"peft_enabled": adapter, **({"lora_rank": 4, **LORA} if adapter else {})}
    whole = run_of(folder, tmp_path / "whole", "pairs.jsonl", **settings)
    whole.train()
    run_of(folder, tmp_path / "halved", "pairs.jsonl", **settings, stop_after_steps=2).train()
    halved = run_of(folder, tmp_path / "halved", "pairs.jsonl", **settings)
    halved.train(resume=True)
    weights = whole.trainer.model.state_dict()
    for name, tensor in halved.trainer.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_a_run_trains_its_reward_model(folder: Path, tmp_path: Path) -> None:
    training = {
        "base_model_name": str(folder / "model"),
        "training_texts": [f"{a}{b}" * (a + 1) for a in range(5) for b in range(5)],
        "reward_functions": ["lengths:length"],
        "output_dir": str(tmp_path / "judge"),
        "num_epochs": 2,
        "learning_rate": 3e-3,
        "gradient_accumulation_steps": 1,
    }
    (tmp_path / "lengths.py").write_text("def length(text):\n    return len(text)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        run = run_of(
            folder,
            tmp_path / "run",
            "rows.jsonl",
            algorithm="grpo",
            max_steps=1,
            max_completion_length=4,
            reward_model_source={"source_type": "custom_trained", "training_config": training},
        ).train()
    assert json.loads(run.reward_model.read_text())["report"]["held_out"] == 5
    judge = RewardModelReward(str(tmp_path / "judge"))
    samples = [json.loads(line) for line in run.samples.read_text().splitlines()]
    assert samples
    for sample in samples:
        assert sample["reward"] == pytest.approx(judge.compute(sample["completion"]), abs=1e-5)
