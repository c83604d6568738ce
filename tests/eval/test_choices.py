"""Multiple choice and calibration against probabilities worked out one by one, and by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, prepare
from aligntune_eval.metrics.calibration import Calibration, expected_calibration_error
from aligntune_eval.metrics.choices import MultipleChoice

MakeContext = Callable[..., EvaluationContext]
ROWS: list[dict[str, Any]] = [
    {"prompt": "2+2=", "choices": ["4", "five", "é 6"], "answer": 0},
    {"prompt": "a b c", "choices": ["d", "x"], "answer": "x"},
    {"prompt": "sky is ", "choices": ["blue", "the colour of rust"], "answer": "0"},
    {"prompt": "", "choices": ["yes", "no", "it is so"], "answer": 2},
]


def logprob(model: Any, ids: list[int], first: int) -> float:
    """Σ log p of `ids[first:]`, one unpadded forward pass for each token."""
    total = 0.0
    for place in range(first, len(ids)):
        with torch.no_grad():
            logits = model(torch.tensor([ids[:place]])).logits[0, -1].double()
        total += float(torch.log_softmax(logits, -1)[ids[place]])
    return total


def expected(model: Any, tokenizer: Any) -> list[list[float]]:
    found = []
    for row in ROWS:
        before = tokenizer(row["prompt"].rstrip())["input_ids"] or [256]
        space = row["prompt"][len(row["prompt"].rstrip()) :]
        after = [tokenizer(f"{space} {choice}")["input_ids"] for choice in row["choices"]]
        found.append([logprob(model, before + ids, len(before)) for ids in after])
    return found


@pytest.mark.parametrize("batch_size", [1, 4])
def test_each_choice_has_its_log_likelihood(
    make_context: MakeContext, model: Any, tokenizer: Any, batch_size: int
) -> None:
    context = make_context(ROWS, batch_size=batch_size)
    metrics = {metric.name: metric for metric in MultipleChoice().evaluate(context)}
    logprobs = expected(model, tokenizer)
    for sample, values in zip(context.samples, logprobs, strict=True):
        said = [request["logprob"] for request in sample["requests"]]
        assert said == pytest.approx(values, rel=1e-5)
    right = [0, 1, 0, 2]
    sizes: dict[str, Callable[[str], int]] = {
        "acc": lambda _: 1,
        "acc_norm": len,
        "acc_bytes": lambda choice: len(choice.encode()),
    }
    for name, size in sizes.items():
        hits = []
        for row, values, gold in zip(ROWS, logprobs, right, strict=True):
            each = [v / size(c) for v, c in zip(values, row["choices"], strict=True)]
            hits.append(float(max(range(len(each)), key=each.__getitem__) == gold))
        assert [sample["scores"][name] for sample in context.samples] == hits
        assert metrics[name].value == sum(hits) / 4
        assert metrics[name].low is not None


def test_chat_messages_are_followed_by_the_choice_itself(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    row = {"prompt": [{"role": "user", "content": "hi"}], "choices": ["A", "B"], "answer": 1}
    context = make_context([row])
    MultipleChoice().evaluate(context)
    requests = context.samples[0]["requests"]
    assert [each["continuation"] for each in requests] == ["A", "B"]
    ids = tokenizer("<user>hi<|end|><assistant>")["input_ids"]
    wanted = [logprob(model, [*ids, *tokenizer(c)["input_ids"]], len(ids)) for c in "AB"]
    assert [each["logprob"] for each in requests] == pytest.approx(wanted, rel=1e-5)


def test_choices_of_one_token_are_answered_by_one_pass(
    make_context: MakeContext, model: Any
) -> None:
    row = {"prompt": "Answer:", "choices": ["A", "B", "C", "D"], "answer": 1}
    sizes: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda _, __, given: sizes.append(given["input_ids"].shape[0]), with_kwargs=True
    )
    try:
        MultipleChoice(delimiter="").evaluate(make_context([row] * 3))
    finally:
        hook.remove()
    assert sizes == [1]


def test_calibration_is_of_the_softmax_over_choices(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    context = make_context(ROWS)
    ece, brier = Calibration(bins=5).evaluate(context)
    errors, sure, hits = [], [], []
    for values, gold in zip(expected(model, tokenizer), [0, 1, 0, 2], strict=True):
        shares = np.exp(values) / np.exp(values).sum()
        errors.append(sum((p - (k == gold)) ** 2 for k, p in enumerate(shares)))
        sure.append(shares.max())
        hits.append(float(shares.argmax() == gold))
    assert brier.value == pytest.approx(sum(errors) / 4, rel=1e-4)
    assert [s["confidence"] for s in context.samples] == pytest.approx(sure, rel=1e-4)
    by_hand = 0.0
    for bin_ in range(5):
        inside = [i for i in range(4) if bin_ / 5 < sure[i] <= (bin_ + 1) / 5]
        if inside:
            accuracy = sum(hits[i] for i in inside) / len(inside)
            confidence = sum(sure[i] for i in inside) / len(inside)
            by_hand += len(inside) / 4 * abs(accuracy - confidence)
    assert ece.value == pytest.approx(by_hand, rel=1e-4)
    assert ece.low is not None
    assert sum(each["rows"] for each in ece.details["reliability"]) == 4


def test_a_calibrated_model_has_a_small_error_and_an_overconfident_one_its_gap() -> None:
    draw = random.Random(0)
    sure = np.array([draw.uniform(0.5, 1) for _ in range(50_000)])
    honest = np.array([float(draw.random() < p) for p in sure])
    assert expected_calibration_error(sure, honest, 10) < 0.01
    boasting = np.array([float(draw.random() < p - 0.3) for p in sure])
    assert expected_calibration_error(sure, boasting, 10) == pytest.approx(0.3, abs=0.01)
    # A confidence at the edge of two bins belongs to the lower one: |1 - 0.9| and |0 - 0.8|.
    both = expected_calibration_error(np.array([0.9, 0.8]), np.array([1.0, 0.0]), 5)
    assert both == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"choices": ["a"], "answer": 0}, "row 1: choices must be a list of two or more"),
        ({"choices": "ab", "answer": 0}, "choices must be a list of two or more, not 'ab'"),
        ({"choices": ["a", ""], "answer": 0}, "a choice must be a text that is not empty"),
        ({"choices": ["a", "b"], "answer": "c"}, r"'answer' is 'c'; it must be one of the choices"),
        ({"choices": ["a", "b"], "answer": 2}, "the place of one from 0 to 1"),
        ({"choices": ["a", "b"], "answer": True}, "'answer' is True"),
        ({"choices": ["a", "a"], "answer": "a"}, "more than once among its choices"),
        ({"answer": 0}, "'multiple_choice' needs 'choices', which row 1 does not have"),
    ],
)
def test_rows_without_a_right_choice_are_refused_at_once(
    plugins: Any, row: dict[str, Any], said: str
) -> None:
    rows = [ROWS[0], {"prompt": "x", **row}]
    with pytest.raises(EvaluationError, match=said):
        prepare(rows, ["multiple_choice"], EvaluationSettings(), plugins)


def test_a_question_that_does_not_fit_is_named(make_context: MakeContext) -> None:
    row = {"prompt": "x" * 60, "choices": ["abcd", "efghijk"], "answer": 0}
    with pytest.raises(
        EvaluationError, match=r"row 0 with its choice ' efghijk' has 68 tokens.*64"
    ):
        MultipleChoice().evaluate(make_context([row]))


def test_bins_change_the_error_and_none_is_refused() -> None:
    with pytest.raises(ValueError, match="bins must be at least 1"):
        Calibration(bins=0)
    sure, hits = np.array([0.55, 0.95]), np.array([1.0, 0.0])
    assert expected_calibration_error(sure, hits, 1) == pytest.approx(math.fabs(0.5 - 0.75))
    assert expected_calibration_error(sure, hits, 10) == pytest.approx((0.45 + 0.95) / 2)
