"""A reward with a model of its own in a run: it loads before the policy, and its values count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForSequenceClassification

from aligntune import create_rl_trainer
from aligntune.errors import ConfigError
from aligntune.testing import addition_rows, make_model, make_tokenizer, write_jsonl
from aligntune_rewards import RewardModelReward


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    make_model(tmp_path / "model")
    write_jsonl(tmp_path / "rows.jsonl", addition_rows(8))
    return {
        "algorithm": "grpo",
        "backend": "trl",
        "model_name": str(tmp_path / "model"),
        "dataset_name": str(tmp_path / "rows.jsonl"),
        "output_dir": str(tmp_path / "run"),
        "precision": "fp32",
        "batch_size": 4,
        "max_completion_length": 4,
        "max_steps": 1,
        "logging_steps": 1,
        "loggers": "none",
    }


def test_missing_weights_of_a_reward_end_the_run_before_the_policy_loads(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "model" / "model.safetensors").unlink()
    rewards = [{"type": "helpfulness", "params": {"model": "no/such-model"}}]
    with pytest.raises(ConfigError) as caught:
        create_rl_trainer(**settings, rewards=rewards).setup()
    message = str(caught.value)
    assert "reward 'helpfulness' needs the model 'no/such-model'" in message
    assert "Set params.model" in message
    assert 'pip install "aligntune-rewards[models]"' in message
    with pytest.raises(ConfigError, match=r"model\.name_or_path"):  # the policy comes after
        create_rl_trainer(**settings, rewards=["length"]).setup()


@pytest.mark.parametrize(
    ("algorithm", "beside"),
    [("grpo", False), ("ppo", False), ("ppo", True)],
    ids=["grpo", "ppo", "ppo, and a reward function"],
)
def test_a_run_learns_from_a_reward_model(
    settings: dict[str, Any], tmp_path: Path, algorithm: str, beside: bool
) -> None:
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.3}
    config = Qwen3Config(vocab_size=len(tokenizer), num_labels=1, pad_token_id=0, **shape, **heads)
    Qwen3ForSequenceClassification(config).save_pretrained(tmp_path / "judge")
    tokenizer.save_pretrained(tmp_path / "judge")
    judge = RewardModelReward(str(tmp_path / "judge"))
    rewards: list[dict[str, Any]] = [{"type": "length", "weight": 0.5}] if beside else []
    rewards += [{"type": "reward_model", "model_name": str(tmp_path / "judge"), "device": "cpu"}]
    run = create_rl_trainer(**settings | {"algorithm": algorithm}, rewards=rewards).train()
    samples = [json.loads(line) for line in run.samples.read_text().splitlines()]
    assert len(samples) == 4
    for sample in samples:
        wanted = judge.compute(sample["completion"], sample["prompt"])
        assert sample["rewards"]["reward_model"] == pytest.approx(wanted, abs=1e-5)
        total = wanted + 0.5 * sample["rewards"].get("length", 0.0)
        assert sample["reward"] == pytest.approx(total, abs=1e-5)
        assert ("length" in sample["rewards"]) == beside
