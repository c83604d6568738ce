"""The same numbers as a hand-written TRL script with the same settings and seed, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trl
from datasets import Dataset
from peft import LoraConfig

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

STEPS = 5
COMPARED = ("loss", "grad_norm", "learning_rate", "entropy", "reward", "kl", "mean_token_accuracy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", addition_rows(48))
    write_jsonl(folder / "chat.jsonl", addition_rows(48, chat=True))
    return folder


def share_of_digits(completions: list[Any], **columns: Any) -> list[float]:
    texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
    return [digits(text) for text in texts]


def digits(text: str, reference: str | None = None, **columns: Any) -> float:
    return sum(character.isascii() and character.isalnum() for character in text) / 8


def lora() -> LoraConfig:
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        lora_alpha=8,
        lora_dropout=0.0,
        target_modules=["q_proj", "v_proj"],
    )


LORA = {
    "peft_enabled": True,
    "lora_rank": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "v_proj"],
}


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [
        {name: line[name] for name in COMPARED if name in line}
        for line in history
        if "loss" in line
    ]


def logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def common(output: Path) -> dict[str, Any]:
    """What every hand-written script says to transformers."""
    return {
        "output_dir": str(output),
        "model_init_kwargs": {"dtype": "float32"},
        "max_steps": STEPS,
        "learning_rate": 3e-3,
        "weight_decay": 0.01,
        "optim": "adamw_torch",
        "lr_scheduler_type": "cosine",
        "logging_steps": 1,
        "seed": 7,
        "bf16": False,
        "fp16": False,
        "use_cpu": True,
        "report_to": [],
        "save_strategy": "no",
    }


@pytest.mark.parametrize("rows", ["rows.jsonl", "chat.jsonl"])
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_sft_has_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, adapter: bool, rows: str
) -> None:
    data = Dataset.from_json(str(folder / rows), cache_dir=str(tmp_path / "cache"))
    raw = trl.SFTTrainer(
        model=str(folder / "model"),
        args=trl.SFTConfig(
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            warmup_steps=0.1,
            max_length=64,
            **common(tmp_path / "raw"),
        ),
        train_dataset=data.select_columns(["prompt", "completion"]),
        peft_config=lora() if adapter else None,
    )
    raw.train()
    ours = create_sft_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / rows),
        backend="trl",
        output_dir=str(tmp_path / "ours"),
        max_steps=STEPS,
        batch_size=4,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        max_seq_length=64,
        logging_steps=1,
        seed=7,
        precision="fp32",
        loggers="none",
        **(LORA if adapter else {}),
    ).train()
    expected, found = by_step(raw.state.log_history), by_step(logged(ours.metrics))
    assert len(expected) == STEPS
    assert found == expected


# Algorithm -> what a script says to TRL's trainer, and what a run of ours is told.
FAMILY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "grpo": (
        {
            "num_iterations": 2,
            "beta": 0.05,
            "use_bias_correction_kl": False,
            "loss_type": "grpo",
            "scale_rewards": "group",
        },
        {"num_ppo_epochs": 2, "kl_coef": 0.05},
    ),
    "gspo": (
        {
            "generation_batch_size": 32,
            "importance_sampling_level": "sequence",
            "beta": 0.0,
            "epsilon": 3e-4,
            "epsilon_high": 4e-4,
            "loss_type": "grpo",
            "scale_rewards": "group",
        },
        {},
    ),
    "dr_grpo": (
        {"num_iterations": 2, "beta": 0.0, "loss_type": "dr_grpo", "scale_rewards": "none"},
        {"num_ppo_epochs": 2},
    ),
    "rloo": (
        {"num_iterations": 2, "beta": 0.05, "normalize_advantages": False},
        {"num_ppo_epochs": 2, "kl_coef": 0.05},
    ),
}


@pytest.mark.parametrize(
    ("algorithm", "rows"),
    [("grpo", "chat.jsonl"), *((algorithm, "rows.jsonl") for algorithm in FAMILY)],
)
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_algorithms_on_groups_have_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, adapter: bool, algorithm: str, rows: str
) -> None:
    theirs, settings = FAMILY[algorithm]
    data = Dataset.from_json(str(folder / rows), cache_dir=str(tmp_path / "cache"))
    name = "RLOO" if algorithm == "rloo" else "GRPO"
    raw = getattr(trl, f"{name}Trainer")(
        model=str(folder / "model"),
        reward_funcs=share_of_digits,
        args=getattr(trl, f"{name}Config")(
            per_device_train_batch_size=8,
            num_generations=4,
            temperature=0.9,
            top_p=0.95,
            max_completion_length=6,
            gradient_checkpointing=False,
            data_seed=47,
            **common(tmp_path / "raw"),
            **theirs,
        ),
        train_dataset=data.select_columns(["prompt", "answer"]),
        peft_config=lora() if adapter else None,
    )
    raw.train()
    ours = create_rl_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / rows),
        algorithm=algorithm,
        backend="trl",
        output_dir=str(tmp_path / "ours"),
        max_steps=STEPS,
        batch_size=8,
        num_generations=4,
        learning_rate=3e-3,
        temperature=0.9,
        max_completion_length=6,
        logging_steps=1,
        seed=7,
        precision="fp32",
        loggers="none",
        rewards=[{"type": "custom", "params": {"reward_function": digits}}],
        **settings,
        **(LORA if adapter else {"peft_enabled": False}),
    ).train()
    expected, found = by_step(raw.state.log_history), by_step(logged(ours.metrics))
    assert len(expected) == STEPS
    assert any(line["loss"] != 0 for line in expected), "a run without a gradient proves nothing"
    assert found == expected
