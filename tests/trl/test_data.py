"""From files to rows: formats, shapes, and what is left out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from aligntune.config import DatasetConfig
from aligntune.data import Prepared, prepare
from aligntune.testing import addition_rows

ROWS = addition_rows(6)
CHAT = addition_rows(6, chat=True)
Write = Callable[..., str]


def lm(*names: str, **given: Any) -> Prepared:
    return prepare([DatasetConfig(name=name, **given) for name in names], "language-modelling")


def prompts(name: str, **given: Any) -> Prepared:
    return prepare([DatasetConfig(name=name, **given)], "prompt", keep_columns=True)


WRITERS: dict[str, Callable[[datasets.Dataset, Path], Any]] = {
    "rows.jsonl": lambda rows, path: rows.to_json(path),
    "rows.json": lambda rows, path: path.write_text(json.dumps(rows.to_list())),
    "rows.csv": lambda rows, path: rows.to_csv(path, index=False),
    "rows.tsv": lambda rows, path: rows.to_csv(path, index=False, sep="\t"),
    "rows.parquet": lambda rows, path: rows.to_parquet(path),
    "saved": lambda rows, path: rows.save_to_disk(path),
    "splits": lambda rows, path: datasets.DatasetDict(train=rows).save_to_disk(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    WRITERS[name](datasets.Dataset.from_list(ROWS), tmp_path / name)
    prepared = lm(str(tmp_path / name))
    assert prepared.rows.to_list() == [
        {"prompt": row["prompt"], "completion": row["completion"]} for row in ROWS
    ]
    assert (prepared.reports[0].read, prepared.reports[0].kept) == (6, 6)


def test_text_files_folders_and_patterns(write: Write, tmp_path: Path) -> None:
    assert lm(write("one\ntwo\n", "notes.txt")).rows.to_list() == [{"text": "one"}, {"text": "two"}]
    (tmp_path / "parts").mkdir()
    write(ROWS[:2], "parts/a.jsonl")
    write(ROWS[2:5], "parts/b.jsonl")
    assert len(lm(str(tmp_path / "parts")).rows) == 5
    assert len(lm(str(tmp_path / "parts" / "*.jsonl")).rows) == 5


SHAPES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"text": "t", "x": 1}, "text", {"text": "t"}),
    (
        {"instruction": "add", "input": "1 2", "output": "3"},
        "prompt and completion",
        {"prompt": "add\n\n1 2", "completion": "3"},
    ),
    (
        {"question": "q", "answer": "a", "text": "t"},
        "prompt and completion",
        {"prompt": "q", "completion": "a"},
    ),
    (
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
        "messages",
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
    ),
]


@pytest.mark.parametrize(("row", "shape", "expected"), SHAPES, ids=range(len(SHAPES)))
def test_shapes_are_read_off_the_columns(
    row: dict[str, Any], shape: str, expected: dict[str, Any], write: Write
) -> None:
    prepared = lm(write([row]))
    assert prepared.reports[0].shape == shape
    assert prepared.rows.to_list() == [expected]


def test_prompts_keep_every_column_for_the_rewards(write: Write) -> None:
    assert prompts(write(ROWS)).rows.to_list() == ROWS
    row = prompts(write(ROWS), preserve_columns=["answer"]).rows[0]
    assert row == {"prompt": ROWS[0]["prompt"], "answer": ROWS[0]["answer"]}
    chat = [{"messages": CHAT[0]["prompt"] + CHAT[0]["completion"], "answer": "x"}]
    assert prompts(write(chat)).rows[0]["prompt"] == CHAT[0]["prompt"]


def test_the_system_prompt_comes_first(write: Write) -> None:
    system = {"role": "system", "content": "Add."}
    assert lm(write(ROWS), system_prompt="Add.").rows[0]["prompt"] == f"Add.\n\n{ROWS[0]['prompt']}"
    assert lm(write(CHAT), system_prompt="Add.").rows[0]["prompt"] == [system, *CHAT[0]["prompt"]]
    turns = CHAT[0]["prompt"] + CHAT[0]["completion"]
    other = lm(write([{"messages": [{"role": "system", "content": "Lie."}, *turns]}]),
               system_prompt="Add.")  # fmt: skip
    assert other.rows[0]["messages"] == [system, *turns]
    assert other.reports[0].cut == {"the system turn, which system_prompt replaces": 1}


@pytest.mark.parametrize(
    ("given", "kept"),
    [({"percent": 50}, 3), ({"max_samples": 2}, 2), ({"percent": 1}, 1), ({"max_samples": 99}, 6),
     ({"percent": 50, "max_samples": 2}, 2), ({"percent": 100}, 6)],
    ids=range(6),
)  # fmt: skip
def test_the_first_rows_are_used(given: dict[str, Any], kept: int, write: Write) -> None:
    rows = lm(write(ROWS), **given).rows
    assert rows["prompt"][:] == [row["prompt"] for row in ROWS[:kept]]


def test_empty_rows_are_left_out_and_counted(
    write: Write, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("aligntune"), "propagate", True)
    rows = [*ROWS, {"prompt": " ", "completion": "x"}, {"prompt": "x", "completion": ""},
            {"prompt": None, "completion": "x"}]  # fmt: skip
    prepared = lm(write(rows))
    report = prepared.reports[0]
    assert (report.read, report.kept) == (9, 6)
    assert report.left_out == {"the prompt is empty": 2, "the completion is empty": 1}
    assert "6 of 9 rows" in caplog.text
    assert "left out 2: the prompt is empty" in caplog.text


def test_processing_functions(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write([{"q": "1+1="}])

    def make(row: dict[str, Any], mark: str = "") -> dict[str, Any]:
        return {"prompt": row["q"] + mark, "completion": "2"}

    given = {"processing_fn": make, "processing_fn_kwargs": {"mark": "!"}}
    assert lm(name, **given).rows.to_list() == [{"prompt": "1+1=!", "completion": "2"}]
    (tmp_path / "their_module.py").write_text(
        "def f(rows): return {'text': [q * 2 for q in rows['q']]}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    batched = {"processing_fn": "their_module:f", "processing_batched": True}
    assert lm(name, **batched).rows.to_list() == [{"text": "1+1=1+1="}]


def test_columns_are_renamed_before_the_shape_is_read(write: Write) -> None:
    name = write([{"frage": "q", "antwort": "a"}])
    mapping = {"frage": "prompt", "antwort": "completion"}
    assert lm(name, column_mapping=mapping).rows.to_list() == [{"prompt": "q", "completion": "a"}]


def test_whole_numbers_are_text(write: Write) -> None:
    # A CSV file has no other way to say it.
    name = write("prompt,completion\n1+1=,2\n2+2=,4\n", "sums.csv")
    for keep in (False, True):
        prepared = prepare([DatasetConfig(name=name)], "language-modelling", keep_columns=keep)
        assert prepared.rows["completion"][:] == ["2", "4"]


def test_data_sets_are_put_one_after_the_other(write: Write) -> None:
    first, second = write(ROWS[:2], "a.jsonl"), write(ROWS[2:5], "b.jsonl")
    prepared = lm(first, second)
    assert prepared.rows["prompt"][:] == [row["prompt"] for row in ROWS[:5]]
    assert [report.kept for report in prepared.reports] == [2, 3]
