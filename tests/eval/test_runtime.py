"""Runtime and loss: what was done is counted, whoever did it."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationSettings, evaluate

ROWS = [{"prompt": p, "answer": "x", "completion": "yes"} for p in ("abc", "1+1=", "a", "to be")]
SETTINGS = EvaluationSettings(batch_size=2, max_new_tokens=8)


class Memory(dict[str, Any]):
    """A store in memory."""

    put = dict.update


def test_runtime_counts_what_the_others_did_although_it_is_listed_first(
    model: Any, tokenizer: Any, plugins: Any
) -> None:
    begin = time.perf_counter()
    wanted = ["runtime", "exact_match", "perplexity"]
    found = evaluate(model, tokenizer, ROWS, wanted, settings=SETTINGS, plugins=plugins)
    seconds = time.perf_counter() - begin
    assert [m.name for m in found.metrics][:4] == [
        "runtime",
        "generated_tokens_per_second",
        "scored_tokens_per_second",
        "exact_match",
    ]
    runtime, generated, scored = found.metrics[:3]
    assert 0 < runtime.value < seconds
    assert runtime.details["items"] == 8
    assert runtime.details["from_store"] == 0
    written = generated.details["tokens_written"]
    assert written > 16
    assert generated.value == pytest.approx(written / generated.details["seconds"])
    assert scored.details["tokens_read"] == sum(len(row["prompt"]) + 3 - 1 for row in ROWS)


def test_runtime_says_what_comes_from_a_store(model: Any, tokenizer: Any, plugins: Any) -> None:
    from aligntune.evaluation import prepare

    store: Any = Memory()
    prepared = prepare(ROWS, ["exact_match", "runtime"], SETTINGS, plugins)
    first = prepared.run(model, tokenizer, store=store).metric("runtime")
    again = prepared.run(model, tokenizer, store=store).metric("runtime")
    assert (first.details["from_store"], again.details["from_store"]) == (0, 4)
    assert again.value == pytest.approx(first.value)


def test_runtime_alone_has_nothing_to_measure(model: Any, tokenizer: Any, plugins: Any) -> None:
    with pytest.raises(EvaluationError, match="no other evaluator generated or scored anything"):
        evaluate(model, tokenizer, ROWS, ["runtime"], settings=SETTINGS, plugins=plugins)


def test_loss_is_the_logarithm_of_perplexity(model: Any, tokenizer: Any, plugins: Any) -> None:
    wanted: list[Any] = [
        "perplexity",
        "loss",
        {"type": "loss", "params": {"window": 4, "name": "near"}},
    ]
    found = evaluate(model, tokenizer, ROWS, wanted, settings=SETTINGS, plugins=plugins)
    loss, perplexity = found.metric("loss"), found.metric("perplexity")
    assert loss.value == pytest.approx(math.log(perplexity.value), rel=1e-12)
    assert loss.low is not None
    assert perplexity.low == pytest.approx(math.exp(loss.low), rel=1e-9)
    assert found.metric("near").value != loss.value
    for metric in (loss, perplexity, found.metric("near")):
        assert metric.combine is not None
        top = sum(sample[metric.combine.top] for sample in found.samples)
        ratio = top / sum(sample[metric.combine.bottom] for sample in found.samples)
        value = math.exp(ratio) if metric.combine.kind == "exp_ratio" else ratio
        assert value == pytest.approx(metric.value, rel=1e-12)
