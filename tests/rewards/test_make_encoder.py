"""The small encoder and language model of `aligntune.testing` are what their formulas say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from aligntune.testing import make_bigram_model, make_encoder


def test_an_encoder_of_words(tmp_path: Path) -> None:
    words = {"red": [1.0, 2.0, 0.5], "blue": [-1.0, 0.3, 1.0]}
    folder = make_encoder(tmp_path, words)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModel.from_pretrained(folder)
    inputs = tokenizer(["Red, blue!", "green"], padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**inputs).last_hidden_state.numpy()
    red, blue, green = states[0, 1], states[0, 2], states[1, 1]
    assert np.var(red) == pytest.approx(1.0, rel=1e-5)
    both = np.dot(words["red"], words["blue"])
    wanted = both / math.prod(np.linalg.norm(vector) for vector in words.values())
    assert red @ blue / (np.linalg.norm(red) * np.linalg.norm(blue)) == pytest.approx(wanted)
    assert [red @ green, blue @ green] == pytest.approx([0.0, 0.0], abs=1e-5)
    assert np.abs(states[0, 0]).max() < 1e-5


def test_a_language_model_of_pairs(tmp_path: Path) -> None:
    folder = make_bigram_model(tmp_path, "a b\n\nA, c b.", smoothing=0.5)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        chances = model(**tokenizer("a b", return_tensors="pt")).logits[0].softmax(-1)
    size = len(tokenizer)
    assert size == 6
    after_a, after_b = (
        {t: float(row[i]) for t, i in tokenizer.get_vocab().items()} for row in chances
    )
    assert after_a["b"] == pytest.approx(1.5 / (2 + 0.5 * size), rel=1e-5)
    assert after_a["<|end|>"] == pytest.approx(0.5 / (2 + 0.5 * size), rel=1e-5)
    assert after_b["<|end|>"] == pytest.approx(2.5 / (2 + 0.5 * size), rel=1e-5)
    assert tokenizer("zebra")["input_ids"] == [tokenizer.get_vocab()["<|unknown|>"]]


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"vectors have \[1, 2\] numbers; all must have as many"):
        make_encoder(tmp_path, {"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(ValueError, match="smoothing is 0; it must be above 0"):
        make_bigram_model(tmp_path, "a b", smoothing=0)
    with pytest.raises(ValueError, match="the text has no words"):
        make_bigram_model(tmp_path, " ?!\n")
