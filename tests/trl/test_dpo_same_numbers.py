"""The same numbers as a hand-written script on TRL's DPOTrainer, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trl
from datasets import Dataset
from peft import LoraConfig

from aligntune import create_rl_trainer
from aligntune.testing import make_model, preference_rows, write_jsonl

STEPS = 4
COMPARED = (
    "loss",
    "grad_norm",
    "learning_rate",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/accuracies",
    "logps/chosen",
)
LORA: dict[str, Any] = {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", preference_rows(48))
    write_jsonl(folder / "chat.jsonl", preference_rows(48, chat=True))
    return folder


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [
        {name: line[name] for name in COMPARED if name in line}
        for line in history
        if "loss" in line
    ]


def logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_hand(folder: Path, rows: str, output: Path, adapter: bool, **arguments: Any) -> Any:
    """What somebody writes who uses TRL alone."""
    data = Dataset.from_json(str(folder / rows), cache_dir=str(output / "cache"))
    trainer = trl.DPOTrainer(
        model=str(folder / "model"),
        args=trl.DPOConfig(
            output_dir=str(output),
            model_init_kwargs={"dtype": "float32"},
            max_steps=STEPS,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
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
            **arguments,
        ),
        train_dataset=data.select_columns(["prompt", "chosen", "rejected"]),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=4, **LORA) if adapter else None,
    )
    trainer.train()
    return by_step(trainer.state.log_history)


def ours(folder: Path, rows: str, output: Path, adapter: bool, **settings: Any) -> Any:
    run = create_rl_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / rows),
        algorithm="dpo",
        backend="trl",
        output_dir=str(output),
        max_steps=STEPS,
        batch_size=4,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        max_seq_length=64,
        logging_steps=1,
        seed=7,
        precision="fp32",
        loggers="none",
        max_completion_length=4,
        peft_enabled=adapter,
        **({"lora_rank": 4, **LORA} if adapter else {}),
        **settings,
    ).train()
    return by_step(logged(run.metrics))


@pytest.mark.parametrize("rows", ["rows.jsonl", "chat.jsonl"])
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_dpo_has_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, adapter: bool, rows: str
) -> None:
    expected = by_hand(folder, rows, tmp_path / "raw", adapter)
    assert len(expected) == STEPS
    assert len({line["loss"] for line in expected}) == STEPS
    assert ours(folder, rows, tmp_path / "ours", adapter) == expected


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        (
            {"loss_type": "ipo", "beta": 0.3, "truncation_mode": "keep_start"},
            {"loss_type": ["ipo"], "beta": 0.3, "truncation_mode": "keep_start"},
        ),
        ({"rpo_alpha": 0.5}, {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}),
        (
            {"sync_ref_model": True, "ref_model_sync_steps": 2, "ref_model_mixup_alpha": 0.5},
            {"sync_ref_model": True, "ref_model_sync_steps": 2, "ref_model_mixup_alpha": 0.5},
        ),
        ({"precompute_ref_log_probs": True}, {}),
    ],
    ids=["ipo", "rpo", "synchronized", "precomputed"],
)
def test_settings_have_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, settings: dict[str, Any], arguments: dict[str, Any]
) -> None:
    expected = by_hand(folder, "rows.jsonl", tmp_path / "raw", False, **arguments)
    assert ours(folder, "rows.jsonl", tmp_path / "ours", False, **settings) == expected
