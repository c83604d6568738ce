"""DPO on models that Unsloth loads: the numbers of a hand-written script; other architectures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from transformers import GPT2Config, GPT2LMHeadModel
from unsloth import FastLanguageModel

from aligntune import create_rl_trainer
from aligntune.testing import make_model, make_tokenizer, preference_rows, write_jsonl

STEPS = 4
COMPARED = ("loss", "grad_norm", "learning_rate", "rewards/chosen", "rewards/rejected")
LORA: dict[str, Any] = {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dpo")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", preference_rows(48))
    return folder


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [
        {name: line[name] for name in COMPARED if name in line}
        for line in history
        if "loss" in line
    ]


def logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


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


def run_dpo(model: Path, rows: Path, output: Path, **settings: Any) -> Any:
    return create_rl_trainer(
        model_name=str(model),
        dataset_name=str(rows),
        algorithm="dpo",
        backend="unsloth",
        output_dir=str(output),
        batch_size=4,
        learning_rate=3e-3,
        logging_steps=1,
        seed=7,
        loggers="none",
        max_completion_length=4,
        **settings,
    ).train()


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_dpo_has_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, adapter: bool
) -> None:
    data = Dataset.from_json(str(folder / "rows.jsonl"), cache_dir=str(tmp_path / "cache"))
    raw = trl.DPOTrainer(
        model=load(folder, adapter),
        processing_class=make_tokenizer(),
        args=trl.DPOConfig(
            output_dir=str(tmp_path / "raw"),
            model_init_kwargs=None if adapter else {"dtype": "float32"},  # of the reference
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
    assert len(expected) == STEPS
    assert len({line["loss"] for line in expected}) == STEPS
    run = run_dpo(
        folder / "model",
        folder / "rows.jsonl",
        tmp_path / "ours",
        max_steps=STEPS,
        max_seq_length=64,
        precision="fp32",
        peft_enabled=adapter,
        **({"lora_rank": 4, **LORA} if adapter else {}),
    )
    assert by_step(logged(run.metrics)) == expected
    assert not any(path.is_dir() for path in run.model.iterdir()), "a copy of the adapter"


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_gpt2_without_template_and_padding_trains_in_bfloat16(
    folder: Path, tmp_path: Path, adapter: bool
) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = tokenizer.pad_token = None
    end = tokenizer.eos_token_id
    sizes: dict[str, Any] = {"n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 2}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **sizes)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    run = run_dpo(
        tmp_path / "gpt2",
        folder / "rows.jsonl",
        tmp_path / "run",
        max_steps=2,
        max_seq_length=2048,
        precision="bf16",
        peft_enabled=adapter,
    )
    losses = [line["loss"] for line in logged(run.metrics) if "loss" in line]
    assert losses[0] == pytest.approx(0.6931472, abs=1e-6)
    assert losses[1] != losses[0]
    if adapter:
        saved = json.loads((run.model / "adapter_config.json").read_text())
        assert saved["target_modules"] == ["c_attn"]
