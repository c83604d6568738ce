"""Loss and metrics of classifiers against their formulas, in float64 on hand-made numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen3Config, Qwen3ForSequenceClassification

from aligntune_trl.classification.intervals import classifier_metrics
from aligntune_trl.classification.loss import classification_loss, loss_function
from aligntune_trl.classification.metrics import entities, entity_counts, is_bio
from aligntune_trl.classification.tokens import first_tokens

TEXTS = [[0.2, -1.3, 2.0], [1.5, 0.0, -0.4], [-0.7, 0.9, 0.1], [3.0, -2.0, 0.5]]
LABELS = [2, 0, 2, 1]


def by_hand(logits: list[float], label: int, smoothing: float) -> float:
    """-log softmax of the label, mixed with the mean of it over all labels."""
    total = math.log(sum(math.exp(value) for value in logits))
    nll = [total - value for value in logits]
    return (1 - smoothing) * nll[label] + smoothing * sum(nll) / len(nll)


def tensor(values: Any) -> torch.Tensor:
    dtype = torch.int64 if values and isinstance(values[0], int) else torch.float64
    return torch.tensor(values, dtype=dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_of_texts_is_the_mean_of_their_cross_entropies(smoothing: float) -> None:
    expected = sum(map(by_hand, TEXTS, LABELS, [smoothing] * 4)) / 4
    found = classification_loss(tensor(TEXTS), tensor(LABELS), 4, smoothing=smoothing)
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_tokens_without_a_label_are_left_out_of_sum_and_count(smoothing: float) -> None:
    logits = torch.stack([tensor(TEXTS), tensor(TEXTS[::-1])])
    labels = torch.tensor([[2, -100, -100, 1], [-100, 0, -100, -100]])
    expected = (
        by_hand(TEXTS[0], 2, smoothing)
        + by_hand(TEXTS[3], 1, smoothing)
        + by_hand(TEXTS[2], 0, smoothing)
    ) / 3
    outputs: Any = type("Outputs", (), {"logits": logits})
    found = loss_function(smoothing)(outputs, labels)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_a_step_without_a_label_learns_nothing() -> None:
    logits = tensor(TEXTS).requires_grad_()
    for count in (0, torch.tensor(0)):
        loss = classification_loss(logits, torch.full((4,), -100), count)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() == 0
        assert gradient.abs().max() == 0


def test_passes_of_one_step_add_up_to_the_mean_over_all_their_labels() -> None:
    logits, labels = tensor(TEXTS), tensor(LABELS)
    whole = classification_loss(logits, labels, 4)
    parts = [classification_loss(logits[some], labels[some], 4) for some in ([0], [1, 2, 3])]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-6)  # type: ignore[attr-defined]


def test_logits_in_half_precision_are_summed_in_full() -> None:
    logits = torch.full((4096, 2), 1.0, dtype=torch.bfloat16)
    found = classification_loss(logits, torch.zeros(4096, dtype=torch.int64), 4096)
    assert found.dtype is torch.float32
    assert found.item() == pytest.approx(math.log(2), rel=1e-6)


def test_transformers_models_do_not_divide_by_the_labels_of_the_step() -> None:
    """Why the loss is our own: the Trainer trusts that they do, and divides by nothing itself."""
    config = Qwen3Config(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_labels=3,
        num_attention_heads=1, num_key_value_heads=1, head_dim=8, pad_token_id=0,
    )  # fmt: skip
    model: Any = Qwen3ForSequenceClassification(config).eval()
    batch = {"input_ids": torch.tensor([[3, 4], [5, 6]]), "labels": torch.tensor([0, 2])}
    assert torch.equal(model(**batch, num_items_in_batch=8).loss, model(**batch).loss)


def test_accuracy_and_macro_f1() -> None:
    labels, predicted = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 3, 0]
    pairs = list(zip(predicted, labels, strict=True))
    # TP, FP, FN: 0: 2, 1, 1; 1: 1, 1, 1; 2: 0, 0, 1; 3: 0, 1, 0
    expected = {"accuracy": 3 / 6, "macro_f1": (4 / 6 + 2 / 4 + 0 + 0) / 4}
    for rows in ([[pair] for pair in pairs], [pairs[:1], [], pairs[1:]], [pairs]):
        found = classifier_metrics(rows)
        assert {metric.name: metric.value for metric in found} == pytest.approx(expected)
        assert [metric.n for metric in found] == [sum(map(bool, rows))] * 2
    assert [metric.value for metric in classifier_metrics([[(1, 1)], [(1, 1)]])] == [1.0, 1.0]


def test_intervals_of_a_classifier_cover_what_it_does_on_all_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 100 samples of 60 texts, 90 or more of the 95 % intervals hold the value of all texts."""
    monkeypatch.setattr("aligntune_trl.classification.intervals.RESAMPLES", 300)
    draw = np.random.default_rng(3)
    labels = draw.integers(0, 3, 20_000)
    wrong = draw.random(20_000) < 0.1 * (1 + labels)
    predicted = np.where(wrong, (labels + 1) % 3, labels)
    everything = [[pair] for pair in zip(predicted.tolist(), labels.tolist(), strict=True)]
    truth = {metric.name: metric.value for metric in classifier_metrics(everything)}
    held = dict.fromkeys(truth, 0)
    for _ in range(100):
        some = [everything[index] for index in draw.integers(0, 20_000, 60)]
        for metric in classifier_metrics(some):
            low, high = metric.interval or (0.0, 0.0)
            held[metric.name] += low <= truth[metric.name] <= high
    assert all(90 <= count <= 99 for count in held.values()), held


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O", []),
        ("B-A I-A O B-B", [("A", 0, 1), ("B", 3, 3)]),
        ("B-A B-A I-A", [("A", 0, 0), ("A", 1, 2)]),
        ("B-A I-B I-B", [("A", 0, 0), ("B", 1, 2)]),  # begins with I, as conlleval reads it
        ("I-A O I-A", [("A", 0, 0), ("A", 2, 2)]),
        ("B-A-B I-A-B", [("A-B", 0, 1)]),
        ("", []),
    ],
)
def test_entities_of_tags(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert list(entities(tags.split())) == expected


def test_an_entity_is_found_where_its_type_and_both_ends_are_right() -> None:
    given = [["B-A", "I-A", "O", "B-B"], ["B-A", "O"]]
    found = [["B-A", "I-A", "O", "B-A"], ["B-A", "I-A"]]
    # One of three is right, and three are predicted.
    counts = [entity_counts(*pair) for pair in zip(found, given, strict=True)]
    assert counts == [(2, 4), (0, 2)]
    f1 = classifier_metrics([[(0, 0)]] * 2, counts)[-1]
    assert (f1.name, f1.value) == ("entity_f1", pytest.approx(2 * 1 / 6))
    assert f1.interval is not None
    assert entity_counts(["O"], ["O"]) == (0, 0)
    nothing = classifier_metrics([[(0, 0)]], [(0, 0)])
    assert [metric.name for metric in nothing] == ["accuracy", "macro_f1"]


def test_tags_are_bio_or_not() -> None:
    assert is_bio(["O", "B-PER", "I-PER"])
    assert not is_bio(["NOUN", "VERB"])
    assert not is_bio(["O", "B-PER", "VERB"])
    assert not is_bio(["O"])
    assert not is_bio([])


@pytest.mark.parametrize(
    ("words", "offsets", "expected"),
    [
        # A special token, a word of two tokens, a space that begins a token, one that is a token.
        (["Rome", "is"], [(0, 0), (0, 2), (2, 4), (4, 7)], [None, 0, None, 1]),
        (["a", "b"], [(0, 1), (1, 2), (2, 3)], [0, None, 1]),
        (["😀", "b"], [(0, 1), (0, 1), (0, 1), (1, 3)], [0, None, None, 1]),
        (["New York", "b"], [(0, 3), (3, 8), (9, 10)], [0, None, 1]),
        (["a", "\N{ZERO WIDTH JOINER}", "b"], [(0, 1), (4, 5)], [0, 2]),
        (["a", "b"], [(0, 3)], [0]),  # one token of both: it stands for the first
    ],
)
def test_the_first_token_of_a_word(
    words: list[str], offsets: list[tuple[int, int]], expected: list[int | None]
) -> None:
    assert first_tokens(words, offsets) == expected
