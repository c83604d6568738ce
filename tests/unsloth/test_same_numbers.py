"""The same numbers as a hand-written script on Unsloth and TRL, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from unsloth import FastLanguageModel

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.testing import addition_rows, make_model, make_tokenizer, write_jsonl

STEPS = 4
COMPARED = ("loss", "grad_norm", "learning_rate", "reward", "kl")
LORA = {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", addition_rows(48))
    return folder


def load(folder: Path, adapter: bool) -> Any:
    model, _ = FastLanguageModel.from_pretrained(
        model_name=str(folder / "model"),
        max_seq_length=64,
        dtype=torch.float32,
        load_in_4bit=False,
        full_finetuning=not adapter,
        use_gradient_checkpointing=False,
    )
    if adapter:
        model = FastLanguageModel.get_peft_model(
            model, r=4, random_state=7, use_gradient_checkpointing=False, **LORA
        )
    return model


def share_of_digits(completions: list[str], **columns: Any) -> list[float]:
    return [digits(text) for text in completions]


def digits(text: str, reference: str | None = None, **columns: Any) -> float:
    return sum(character.isascii() and character.isalnum() for character in text) / 8


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [
        {name: line[name] for name in COMPARED if name in line}
        for line in history
        if "loss" in line
    ]


def logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def common(output: Path) -> dict[str, Any]:
    return {
        "output_dir": str(output),
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
        "gradient_checkpointing": False,
        "report_to": [],
        "save_strategy": "no",
    }


def ours(folder: Path, output: Path, adapter: bool) -> dict[str, Any]:
    settings = {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": "unsloth",
        "output_dir": str(output),
        "max_steps": STEPS,
        "learning_rate": 3e-3,
        "max_seq_length": 64,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "seed": 7,
        "precision": "fp32",
        "loggers": "none",
        "peft_enabled": adapter,
    }
    return settings | ({"lora_rank": 4, **LORA} if adapter else {})


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_sft_has_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, adapter: bool
) -> None:
    data = Dataset.from_json(str(folder / "rows.jsonl"), cache_dir=str(tmp_path / "cache"))
    raw = trl.SFTTrainer(
        model=load(folder, adapter),
        processing_class=make_tokenizer(),
        args=trl.SFTConfig(
            per_device_train_batch_size=4,
            warmup_steps=0.1,
            max_length=64,
            loss_type="nll",
            **common(tmp_path / "raw"),
        ),
        train_dataset=data.select_columns(["prompt", "completion"]),
    )
    raw.train()
    run = create_sft_trainer(batch_size=4, **ours(folder, tmp_path / "ours", adapter)).train()
    expected = by_step(raw.state.log_history)
    assert len(expected) == STEPS
    assert by_step(logged(run.metrics)) == expected


GROUP: dict[str, Any] = {
    "loss_type": "grpo",
    "scale_rewards": "group",
    "importance_sampling_level": "token",
    "use_bias_correction_kl": False,
    "beta": 0.0,
    "epsilon": 0.2,
}
GSPO = {"importance_sampling_level": "sequence", "epsilon": 3e-4, "epsilon_high": 4e-4}
DR_GRPO = {"loss_type": "dr_grpo", "scale_rewards": "none", "num_iterations": 2}
# Algorithm, with an adapter or not, what a script says to TRL's trainer, what a run is told.
FAMILY: list[tuple[str, bool, dict[str, Any], dict[str, Any]]] = [
    ("grpo", False, GROUP | {"beta": 0.05}, {"kl_coef": 0.05}),
    ("grpo", True, GROUP | {"beta": 0.05}, {"kl_coef": 0.05}),
    ("gspo", True, GROUP | GSPO | {"generation_batch_size": 32}, {}),
    ("dr_grpo", True, GROUP | DR_GRPO, {"num_ppo_epochs": 2}),
    ("rloo", True, {"beta": 0.05, "normalize_advantages": False}, {"kl_coef": 0.05}),
]


@pytest.mark.parametrize(
    ("algorithm", "adapter", "theirs", "settings"),
    FAMILY,
    ids=[f"{name}-{'lora' if adapter else 'full'}" for name, adapter, *_ in FAMILY],
)
def test_algorithms_on_groups_have_the_losses_of_a_hand_written_script(  # noqa: PLR0917
    folder: Path,
    tmp_path: Path,
    algorithm: str,
    adapter: bool,
    theirs: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    data = Dataset.from_json(str(folder / "rows.jsonl"), cache_dir=str(tmp_path / "cache"))
    tokenizer = make_tokenizer()
    tokenizer.padding_side = tokenizer.truncation_side = "left"
    name = "RLOO" if algorithm == "rloo" else "GRPO"
    raw = getattr(trl, f"{name}Trainer")(
        model=load(folder, adapter),
        processing_class=tokenizer,
        reward_funcs=[share_of_digits],
        args=getattr(trl, f"{name}Config")(
            per_device_train_batch_size=8,
            num_generations=4,
            mask_truncated_completions=False,
            temperature=0.9,
            top_p=0.95,
            top_k=0,
            max_completion_length=6,
            data_seed=47,
            remove_unused_columns=False,
            **common(tmp_path / "raw"),
            **theirs,
        ),
        train_dataset=data.select_columns(["prompt", "answer"]),
    )
    raw.train()
    run = create_rl_trainer(
        algorithm=algorithm,
        batch_size=8,
        num_generations=4,
        temperature=0.9,
        max_completion_length=6,
        rewards=[{"type": "custom", "params": {"reward_function": digits}}],
        **settings,
        **ours(folder, tmp_path / "ours", adapter),
    ).train()
    expected = by_step(raw.state.log_history)
    assert len(expected) == STEPS
    assert any(line["loss"] != 0 for line in expected), "a run without a gradient proves nothing"
    assert by_step(logged(run.metrics)) == expected


def test_nothing_is_written_below_the_working_directory(folder: Path) -> None:
    assert "unsloth_compiled_cache" not in [path.name for path in Path.cwd().iterdir()]
