"""Small classifiers and language models in folders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from bags import Make, save_bag

from aligntune.testing import make_model, make_tokenizer


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make a classifier as `bags` describes it; returns its folder."""

    def make(labels: Sequence[str] = ("reward",), **config: Any) -> str:
        return save_bag(str(tmp_path_factory.mktemp("bag")), labels, **config)

    return make


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Qwen3 with a byte-level tokenizer and wide random weights."""
    path = tmp_path_factory.mktemp("language") / "model"
    return str(make_model(path, initializer_range=0.3, positions=64))


@pytest.fixture(scope="session")
def chat_reward_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Qwen3 with a head of one label and a tokenizer with a chat template."""
    from transformers import Qwen3Config, Qwen3ForSequenceClassification

    folder = str(tmp_path_factory.mktemp("chat_reward") / "model")
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    Qwen3ForSequenceClassification(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            initializer_range=0.3,
            num_labels=1,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
