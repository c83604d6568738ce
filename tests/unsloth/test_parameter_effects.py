"""What the Unsloth backend itself does with a field, where that is not what plain TRL does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.errors import ConfigError
from aligntune.run import RunDirectory
from aligntune.testing import addition_rows, make_model, write_jsonl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("effects")
    make_model(folder / "model")
    make_model(folder / "other", seed=5)
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    return folder


def settings(folder: Path, output: Path, **more: Any) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": "unsloth",
        "output_dir": str(output),
        "precision": "fp32",
        "max_steps": 2,
        "logging_steps": 1,
        "learning_rate": 1e-2,
        "save_strategy": "no",
        "loggers": "none",
        "max_seq_length": 32,
        "gradient_checkpointing": False,
        **more,
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(run: RunDirectory) -> list[float]:
    return [line["loss"] for line in lines(run.metrics) if "loss" in line]


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_completions_are_written_down_and_change_nothing(
    folder: Path, tmp_path: Path, adapter: bool
) -> None:
    given: dict[str, Any] = {"peft_enabled": adapter} | ({"lora_dropout": 0.5} if adapter else {})
    sampling = {"enabled": True, "interval_steps": 1, "max_new_tokens": 3, "num_samples": 2}
    plain = create_sft_trainer(**settings(folder, tmp_path / "plain", **given)).train()
    given["logging"] = {"sample_logging": sampling}
    sampled = create_sft_trainer(**settings(folder, tmp_path / "sampled", **given)).train()
    assert len(lines(sampled.samples)) == 2 * 4 * 2
    assert len(losses(plain)) == 2
    assert losses(sampled) == losses(plain)


def test_the_policy_starts_from_the_checkpoint(folder: Path, tmp_path: Path) -> None:
    given = settings(folder, tmp_path / "run", batch_size=2, max_completion_length=2)
    trainer: Any = create_rl_trainer(
        algorithm="grpo",
        rewards=["length"],
        sft_path=str(folder / "other"),
        peft_enabled=False,
        **given,
    )
    found = trainer.setup().model.state_dict()
    expected = AutoModelForCausalLM.from_pretrained(folder / "other").state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_what_unsloth_would_turn_off_is_refused(folder: Path, tmp_path: Path) -> None:
    trainer = create_sft_trainer(**settings(folder, tmp_path / "run", packing=True))
    with pytest.raises(ConfigError, match=r"train\.packing: True, and unsloth made it False"):
        trainer.train()
