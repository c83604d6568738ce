"""How much of each data set: rows held out, several data sets, weights."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import datasets
import pytest

from aligntune.config import DatasetConfig, SFTConfig
from aligntune.data import Prepared, prepare
from aligntune.errors import ConfigError, DataError
from aligntune.plan import make_plan
from aligntune.testing import addition_rows

ROWS = addition_rows(40)
Write = Callable[..., str]


def part(first: int, last: int, **given: Any) -> DatasetConfig:
    return DatasetConfig(name=datasets.Dataset.from_list(ROWS[first:last]), **given)


def lm(*configs: DatasetConfig, **given: Any) -> Prepared:
    return prepare(configs, "language-modelling", **given)


def prompts(rows: Any) -> list[str]:
    return list(rows["prompt"])


ALL = [row["prompt"] for row in ROWS]


@pytest.mark.parametrize(("size", "count"), [(0.25, 10), (0.01, 1), (5, 5), (39, 39), (0.96, 38)])
def test_rows_held_out_are_not_trained_on(size: float, count: int) -> None:
    prepared = lm(part(0, 40, val_size=size), seed=3)
    assert prepared.held_out is not None
    held, kept = prompts(prepared.held_out), prompts(prepared.rows)
    assert len(held) == count
    assert sorted(held + kept) == sorted(ALL)
    assert kept == [prompt for prompt in ALL if prompt in kept]  # the order stays
    assert prepared.reports[0].held_out == count
    assert set(prepared.rows.column_names) == {"prompt", "completion"}
    assert "answer" in prepared.held_out.column_names  # evaluators read it


def test_the_seed_says_which_rows_are_held_out() -> None:
    def held(seed: int) -> list[str]:
        return prompts(lm(part(0, 40, val_size=8), seed=seed).held_out)

    assert held(1) == held(1) != held(2)


def test_each_data_set_holds_out_its_own() -> None:
    prepared = lm(part(0, 20, val_size=2), part(20, 40, val_size=0.5))
    held = prompts(prepared.held_out)
    assert [sum(prompt in ALL[a:b] for prompt in held) for a, b in ((0, 20), (20, 40))] == [2, 10]
    assert len(prepared.rows) == 28


@pytest.mark.parametrize("size", [40, 99, 0.99])
def test_something_must_be_left_to_train_on(size: float) -> None:
    with pytest.raises(DataError, match="which leaves none to train on"):
        lm(part(0, 40, val_size=size))


def test_a_stream_holds_out_its_first_rows() -> None:
    prepared = lm(part(0, 40, val_size=3, streaming=True))
    assert prompts(prepared.held_out) == ALL[:3]
    assert [row["prompt"] for row in prepared.rows] == ALL[3:]
    with pytest.raises(DataError, match="holds out 40 of 40 rows, which leaves none"):
        lm(part(0, 40, val_size=40, streaming=True))


def test_weights_are_shares_until_every_row_was_drawn() -> None:
    prepared = lm(part(0, 30, weight=1.5), part(30, 40, weight=0.5), seed=5)
    drawn = Counter(prompts(prepared.rows))
    assert set(drawn) == set(ALL)
    counts = [sum(drawn[p] for p in ALL[:30]), sum(drawn[p] for p in ALL[30:])]
    assert [report.drawn for report in prepared.reports] == counts
    assert 0.6 < counts[0] / sum(counts) < 0.9
    again = lm(part(0, 30, weight=3), part(30, 40), seed=5)  # the same shares
    assert prompts(again.rows) == prompts(prepared.rows)
    other = lm(part(0, 30, weight=3), part(30, 40), seed=6)
    assert prompts(other.rows) != prompts(prepared.rows)


def test_repeats_are_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("aligntune")
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, "aligntune")
    reports = lm(part(0, 30), part(30, 32, weight=4)).reports
    drawn = reports[1].drawn
    assert drawn is not None
    assert drawn > 2
    assert f"Dataset of 2 rows: {drawn} rows drawn, {drawn - 2} repeats" in caplog.text


def test_streams_are_drawn_by_weight_too() -> None:
    configs = [
        part(0, 30, weight=3, streaming=True),
        part(30, 40, streaming=True),
    ]
    rows = [row["prompt"] for row in lm(*configs, seed=5).rows]
    assert set(rows) == set(ALL)
    assert rows == [row["prompt"] for row in lm(*configs, seed=5).rows]
    plain = lm(part(0, 30, streaming=True), part(30, 40, streaming=True)).rows
    assert [row["prompt"] for row in plain] == ALL


def test_a_column_that_not_all_have_is_left_out_and_named() -> None:
    without = [{k: v for k, v in row.items() if k != "answer"} for row in ROWS[:4]]
    other = DatasetConfig(name=datasets.Dataset.from_list(without))
    prepared = prepare([part(4, 8), other], "prompt", keep_columns=True)
    assert set(prepared.rows.column_names) == {"prompt", "completion"}
    assert prepared.partial == {"answer": ["Dataset of 4 rows"]}
    declared = part(4, 8, preserve_columns=["answer", "completion"])
    kept = prepare([declared, other], "prompt", keep_columns=True)
    assert kept.rows["answer"][:] == [row["answer"] for row in ROWS[4:8]] + [None] * 4


def sft(*data: dict[str, Any], **given: Any) -> None:
    make_plan(SFTConfig(model_name="tiny", datasets=list(data), **{"max_steps": 1, **given}))


A, B = {"name": "a.jsonl"}, {"name": "b.jsonl"}
STREAM = {**A, "streaming": True}
CONTRADICTIONS: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
    ([{**A, "weight": 2}], {}, "datasets.0.weight: a single data set has all of the share"),
    ([{**A, "val_size": 1.5}], {}, "1.5 is neither a fraction below 1 nor a number of rows"),
    ([{**A, "val_size": 2}], {"eval_datasets": [B]}, "there is evaluation data already"),
    ([A], {"eval_datasets": [{**B, "val_size": 2}]}, "these rows are all evaluated on"),
    ([A], {"eval_datasets": [{**B, "weight": 2}]}, "whatever their share"),
    ([A], {"eval_datasets": [{**B, "streaming": True}]}, "and needs their number"),
    ([STREAM], {"max_steps": None}, "does not know how many steps one pass over it is"),
    ([STREAM, B], {}, "are streamed all, or none"),
    ([{**STREAM, "percent": 10}], {}, "does not know how many rows there are"),
    ([{**STREAM, "val_size": 0.1}], {}, "does not know how many rows a fraction is"),
    ([{**STREAM, "dataset_num_proc": 2}], {}, "by the process that trains"),
    ([STREAM], {"dataloader_num_workers": 1}, "by the process that trains"),
    ([STREAM], {"group_by_length": True}, "cannot be grouped"),
]


@pytest.mark.parametrize(("data", "given", "says"), CONTRADICTIONS, ids=range(len(CONTRADICTIONS)))
def test_contradictions_are_refused_before_anything_is_read(
    data: list[dict[str, Any]], given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        sft(*data, **given)
    assert says in str(caught.value)


def test_what_goes_together_is_planned() -> None:
    sft({**A, "weight": 2}, B)
    sft({**A, "val_size": 0.1}, eval_strategy="steps", eval_interval=1)
    sft({**STREAM, "max_samples": 10, "val_size": 2}, {**STREAM, **B, "weight": 3})
