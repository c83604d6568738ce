"""Classifiers whose logits can be worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from aligntune.testing import make_classifier


def logits(folder: Path, texts: list[Any]) -> list[list[float]]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        found = model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt"))
    listed: list[list[float]] = found.logits.tolist()
    return listed


def test_a_logit_is_the_mean_of_the_weights_of_words(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "judge", scale=3.0, bias=0.5)
    texts = ["good", "Good, GOOD: bad!", "it is bad", "", "...", "good " + "word " * 299]
    wanted = [3.5, 1.5, -0.5, 0.5, 0.5, 0.51]
    assert [row[0] for row in logits(folder, texts)] == pytest.approx(wanted, abs=1e-3)


def test_several_labels_and_pairs(tmp_path: Path) -> None:
    words = {"idiot": [-1.0, 1.0, 0.0], "gun": [-0.5, 0.0, 1.0]}
    folder = make_classifier(
        tmp_path, ["OK", "hate", "violence"], words, bias=[1.0, -1.0, 0.0], multi_label=True
    )
    found = logits(folder, [["an idiot", "a gun"]])[0]
    assert found == pytest.approx([1 - 4 * 1.5 / 4, -1 + 1, 1], abs=1e-3)
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    assert config.problem_type == "multi_label_classification"
    assert config.id2label == {0: "OK", 1: "hate", 2: "violence"}


def test_a_number_counts_for_the_first_label(tmp_path: Path) -> None:
    found = logits(make_classifier(tmp_path, ["up", "down"], {"rise": 0.25}), ["rise", "fall"])
    assert found == [pytest.approx([1.0, 0.0], abs=1e-3), pytest.approx([0.0, 0.0], abs=1e-3)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"words": {"x": 2.0}}, "'x' 2.0; it is a number from -1 to 1"),
        ({"words": {"x": math.nan}}, "it is a number from -1 to 1"),
        ({"words": {"x": [1.0]}}, "one for each of the 2 labels"),
        ({"bias": [0.0]}, "bias holds 1 numbers for 2 labels"),
    ],
)
def test_what_is_refused(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_classifier(tmp_path, ["a", "b"], **given)
