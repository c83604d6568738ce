"""Perplexity against an oracle that scores one token after the other, without batches."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext
from aligntune_eval.asking.tokens import Target
from aligntune_eval.metrics.perplexity import Perplexity, windows

MakeContext = Callable[..., EvaluationContext]

TEXTS = [
    "the quick brown fox",
    "jumps",
    "",
    "over the lazy dog, and on over the hills it goes",
    "é",
]


def nll(model: Any, context: list[int], token: int) -> float:
    """-log p(token | context), from one unpadded forward pass."""
    with torch.no_grad():
        logits = model(torch.tensor([context])).logits[0, -1].double()
    return float(-torch.log_softmax(logits, -1)[token])


def oracle(model: Any, ids: list[int], first: int, window: int) -> float:
    """Each token is scored with lm-eval's context: windows that start anew when one is full."""
    total, done, last = 0.0, first - 1, len(ids) - 1
    while done < last:
        end = min(last, max(window, done + window))
        for target in range(done + 1, end + 1):
            total += nll(model, ids[max(0, end - window) : target], ids[target])
        done = end
    return total


def test_running_text_equals_the_oracle(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    context = make_context([{"text": text} for text in TEXTS], batch_size=3)
    perplexity, bits = Perplexity().evaluate(context)
    ids = [[256, *tokenizer(text)["input_ids"]] for text in TEXTS]
    total = sum(oracle(model, row, 1, 64) for row in ids)
    tokens = sum(len(text.encode()) for text in TEXTS)
    assert perplexity.value == pytest.approx(math.exp(total / tokens), rel=1e-5)
    assert bits.value == pytest.approx(total / math.log(2) / tokens, rel=1e-5)
    assert perplexity.n == 4
    assert perplexity.details["tokens"] == perplexity.details["bytes"] == tokens
    assert perplexity.details["empty_rows"] == 1
    assert (perplexity.details["window"], perplexity.details["stride"]) == (64, 64)
    assert perplexity.low is not None
    assert perplexity.high is not None
    assert perplexity.low < perplexity.value < perplexity.high
    assert context.samples[2]["tokens"] == 0


def test_a_text_longer_than_the_window_is_scored_once_per_token(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    text = "abcdefghij" * 20
    ids = [256, *tokenizer(text)["input_ids"]]
    metric = Perplexity(window=16).evaluate(make_context([{"text": text}]))[0]
    assert metric.details["tokens"] == len(text)
    assert math.log(metric.value) * 200 == pytest.approx(oracle(model, ids, 1, 16), rel=1e-5)
    assert (metric.n, metric.stderr, metric.low) == (1, None, None)
    assert metric.details["interval"] == "none"


def test_a_stride_of_one_gives_every_token_its_full_context(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    text = "to be or not to be, that is the question"
    ids = [256, *tokenizer(text)["input_ids"]]
    expected = sum(nll(model, ids[max(0, t - 8) : t], ids[t]) for t in range(1, len(ids)))
    metric = Perplexity(window=8, stride=1).evaluate(make_context([{"text": text}]))[0]
    assert math.log(metric.value) * len(text) == pytest.approx(expected, rel=1e-5)


@given(
    length=st.integers(2, 60), first=st.integers(1, 59), window=st.integers(1, 20), data=st.data()
)
def test_windows_score_each_token_exactly_once(
    length: int, first: int, window: int, data: st.DataObject
) -> None:
    first = min(first, length - 1)
    stride = data.draw(st.integers(1, window))
    made = list(windows(0, Target(list(range(length)), first, 1), window, stride))
    scored = [token for part in made for token in part.ids[len(part.ids) - part.scored :]]
    assert scored == list(range(first, length))
    assert all(len(part.ids) <= window + 1 for part in made)


@pytest.mark.parametrize("chat", [False, True])
def test_of_a_prompt_and_a_completion_the_completion_is_scored(
    make_context: MakeContext, model: Any, tokenizer: Any, chat: bool
) -> None:
    row: dict[str, Any] = {"prompt": "2+2=", "completion": "four"}
    before, after = "2+2=", "four"
    if chat:
        row = {
            "prompt": [{"role": "user", "content": before}],
            "completion": [{"role": "assistant", "content": after}],
        }
        before, after = "<user>2+2=<|end|><assistant>", "four<|end|>"
    ids = tokenizer(before + after)["input_ids"]
    expected = oracle(model, ids, len(tokenizer(before)["input_ids"]), 64)
    metric = Perplexity().evaluate(make_context([row]))[0]
    assert math.log(metric.value) * (5 if chat else 4) == pytest.approx(expected, rel=1e-5)
    assert metric.details["bytes"] == len(after)


def test_a_conversation_is_scored_as_its_template_has_it(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    row = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
    ids = [256, *tokenizer("<user>hi<|end|><assistant>ho<|end|>")["input_ids"]]
    metric = Perplexity().evaluate(make_context([row]))[0]
    assert math.log(metric.value) * (len(ids) - 1) == pytest.approx(
        oracle(model, ids, 1, 64), rel=1e-5
    )


def test_batch_size_and_row_order_change_nothing(make_context: MakeContext) -> None:
    @settings(max_examples=15, deadline=None)
    @given(
        texts=st.lists(st.text("abc é", max_size=90), min_size=2, max_size=6).filter(any),
        batch_size=st.integers(1, 7),
        seed=st.integers(0, 99),
    )
    def check(texts: list[str], batch_size: int, seed: int) -> None:
        rows = [{"text": text} for text in texts]
        alone = make_context(rows, batch_size=1)
        shuffled = random.Random(seed).sample(rows, len(rows))
        together = make_context(shuffled, batch_size=batch_size)
        for one, other in zip(
            Perplexity().evaluate(alone), Perplexity().evaluate(together), strict=True
        ):
            assert one.value == pytest.approx(other.value, rel=1e-5)
        by_text = {row["text"]: s["nll"] for row, s in zip(shuffled, together.samples, strict=True)}
        for text, sample in zip(texts, alone.samples, strict=True):
            assert sample["nll"] == pytest.approx(by_text[text], rel=1e-4, abs=1e-5)

    check()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"window": 0}, "window must be"), ({"window": 4, "stride": 5}, "must not be above window")],
)
def test_impossible_windows_are_refused(parameters: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Perplexity(**parameters)


def test_a_window_beyond_the_positions_is_refused(make_context: MakeContext) -> None:
    with pytest.raises(EvaluationError, match="window is 65, and the model has 64 positions"):
        Perplexity(window=65).check(make_context([{"text": "a"}]))
    Perplexity(window=64).check(make_context([{"text": "a"}]))


def test_nothing_but_empty_texts_is_an_error(make_context: MakeContext) -> None:
    with pytest.raises(EvaluationError, match="every text is empty"):
        Perplexity().evaluate(make_context([{"text": ""}]))


def test_messages_without_a_template_are_an_error(
    make_context: MakeContext, tokenizer: Any
) -> None:
    context = make_context([{"messages": [{"role": "user", "content": "hi"}]}])
    kept, tokenizer.chat_template = tokenizer.chat_template, None
    try:
        with pytest.raises(EvaluationError, match="no chat template"):
            Perplexity().evaluate(context)
    finally:
        tokenizer.chat_template = kept


def test_a_model_that_yields_nan_is_an_error(make_context: MakeContext, model: Any) -> None:
    import copy

    context = make_context([{"text": "abc"}])
    context.model = copy.deepcopy(model)
    context.model.lm_head.weight.data.fill_(math.nan)
    with pytest.raises(EvaluationError, match="row 0 a log-likelihood of nan"):
        Perplexity().evaluate(context)
