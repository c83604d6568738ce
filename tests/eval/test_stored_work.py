"""An evaluation that was killed goes on, and its numbers are those of one that was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from aligntune.evaluation import (
    EvaluationContext,
    EvaluationSettings,
    Evaluator,
    Metric,
    Prepared,
    prepare,
)
from aligntune_eval.asking.generation import samples_of
from aligntune_eval.statistics import mean_metric

ROWS = [
    {"prompt": prompt, "answer": "x", "text": prompt * 3}
    for prompt in ("abc", "1+1=", "a", "the quick", "b b", "xyz", "0", "to be")
]


class KilledError(Exception):
    """What ends the process in the middle."""


class Memory:
    """A store that loses power after so many batches."""

    def __init__(self, batches: int = 10**9) -> None:
        self.values: dict[str, Any] = {}
        self.batches = batches

    def get(self, key: str) -> Any | None:
        return self.values.get(key)

    def put(self, entries: Mapping[str, Any]) -> None:
        if self.batches == 0:
            raise KilledError
        self.batches -= 1
        self.values.update(entries)


class Written(Evaluator):
    """Mean number of tokens of all completions."""

    name = "written"
    needs: ClassVar[tuple[str, ...]] = ("prompt",)

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        values = [float(sum(len(one.ids) for one in each)) for each in samples_of(context)]
        return [mean_metric(self.name, values)]


def prepared(plugins: Any, **settings: Any) -> Prepared:
    wanted = EvaluationSettings(batch_size=3, max_new_tokens=8, **settings)
    return prepare(ROWS, [Written(), "perplexity"], wanted, plugins)


@pytest.mark.parametrize("how", [{}, {"temperature": 1.0, "num_samples": 2}], ids=str)
@pytest.mark.parametrize("batches", [0, 1, 4])
def test_a_killed_evaluation_goes_on(
    model: Any, tokenizer: Any, plugins: Any, how: dict[str, Any], batches: int
) -> None:
    whole = prepared(plugins, **how).run(model, tokenizer)
    store = Memory(batches)
    with pytest.raises(Exception, match="KilledError") as caught:
        prepared(plugins, **how).run(model, tokenizer, store=store)
    assert isinstance(caught.value.__cause__, KilledError)
    kept = set(store.values)
    store.batches = 10**9
    asked: list[int] = []
    hook = model.register_forward_pre_hook(lambda *_: asked.append(1))
    try:
        resumed = prepared(plugins, **how).run(model, tokenizer, store=store)
        first = len(asked)
        prepared(plugins, **how).run(model, tokenizer, store=store)
    finally:
        hook.remove()
    assert len(asked) == first > 0
    assert kept < set(store.values)
    assert resumed.metrics == whole.metrics
    assert resumed.samples == whole.samples


def test_what_is_stored_serves_other_rows_and_no_other_settings(
    model: Any, tokenizer: Any, plugins: Any
) -> None:
    store = Memory()
    prepared(plugins, temperature=1.0).run(model, tokenizer, store=store)
    count = len(store.values)
    prepared(plugins, temperature=1.0, max_samples=4).run(model, tokenizer, store=store)
    assert len(store.values) == count
    prepared(plugins, temperature=1.0, seed=1).run(model, tokenizer, store=store)
    assert len(store.values) == count + len(ROWS)
