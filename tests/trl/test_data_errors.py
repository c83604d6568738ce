"""What is said of data that is wrong: the file, the line, the column, and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from aligntune.config import DatasetConfig
from aligntune.data import prepare
from aligntune.errors import DataError, PluginError
from aligntune.testing import addition_rows

ROWS = addition_rows(6)
Write = Callable[..., str]


def said(name: str, *more: str, **given: Any) -> str:
    configs = [DatasetConfig(name=path, **given) for path in (name, *more)]
    with pytest.raises(DataError) as caught:
        prepare(configs, "language-modelling")
    return str(caught.value)


MAPPINGS: list[tuple[dict[str, str], str]] = [
    ({"promt": "prompt"}, "names the column 'promt', which is not there; the columns there are: "),
    ({"promt": "prompt"}, "did you mean 'prompt'?"),
    ({"answer": "prompt"}, "renames 'answer' to 'prompt', which is there already"),
    ({"prompt": "x", "completion": "x"}, "renames two columns to 'x'"),
]


@pytest.mark.parametrize(("mapping", "says"), MAPPINGS, ids=range(len(MAPPINGS)))
def test_what_is_said_of_a_wrong_mapping(mapping: dict[str, str], says: str, write: Write) -> None:
    assert says in said(write(ROWS), column_mapping=mapping)


BROKEN: list[tuple[str, str, str]] = [
    ("a.jsonl", '{"prompt": "a"}\n{"prompt": \n', "a.jsonl:2:11: this is not JSON"),
    ("a.jsonl", '{"prompt": "a"}\n[1]\n', "a.jsonl:2: expected a JSON object, found a list"),
    ("a.jsonl", "", "a.jsonl: the file is empty"),
    ("a.csv", "prompt,completion\n", "a.csv: the data set is empty"),
    ("a.json", "[]", "a.json"),
    ("a.json", '{"prompt": ', "a.json:1:12: this is not JSON"),
    ("a.parquet", "no parquet", "a.parquet: cannot be read"),
    ("a.xlsx", "no table", "found .xlsx"),
    (
        "a.jsonl",
        '{"promt": "a"}\n',
        "rows need `messages`, or `prompt` and `completion`, or `text`",
    ),
    ("a.jsonl", '{"promt": "a"}\n', "the columns there are: promt\n    did you mean 'prompt'?"),
]


@pytest.mark.parametrize(("name", "text", "says"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_said_of_a_broken_file(name: str, text: str, says: str, write: Write) -> None:
    assert says in said(write(text, name))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"split": "test"}, "there is no split 'test'; splits there: train"),
        ({"subset": "main"}, "a local file has no subset 'main'"),
        ({"revision": "v1"}, "a local file has no revision"),
        ({"task_type": "token_classification"}, "task_type 'token_classification' is not one of"),
        ({"preserve_columns": ["nope"]}, "preserve_columns names 'nope'; the columns there are"),
    ],
    ids=range(5),
)
def test_what_a_local_file_does_not_have(given: dict[str, Any], says: str, write: Write) -> None:
    assert says in said(write(ROWS), **given)


def test_names_that_are_no_data(write: Write, tmp_path: Path) -> None:
    write(ROWS)
    assert "no such file; did you mean 'rows.jsonl'?" in said(str(tmp_path / "row.jsonl"))
    assert "no file matches" in said(str(tmp_path / "*.csv"))
    (tmp_path / "none").mkdir()
    assert "the folder holds no data files" in said(str(tmp_path / "none"))
    assert "the hub did not give it" in said("nobody/nothing")
    datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)).save_to_disk(tmp_path / "splits")
    assert "splits there: train" in said(str(tmp_path / "splits"), split="test")


WRONG: list[list[Any]] = [
    [{"prompt": {"a": 1}, "completion": "x"}],
    [{"messages": "just text"}],
    [{"messages": ["just", "texts"]}],
    [{"messages": [{"content": "no role"}]}],
    [{"prompt": [1, 2], "completion": "x"}],
    [{"prompt": "x", "completion": True}],
]


@pytest.mark.parametrize("rows", WRONG, ids=range(len(WRONG)))
def test_a_column_of_the_wrong_kind_is_named(rows: list[Any], write: Write) -> None:
    column = "completion" if rows[0].get("prompt") == "x" else next(iter(rows[0]))
    message = said(write(rows))
    assert f"row 0: the {column} is" in message
    assert "chat messages, each with `role` and `content`" in message


def test_what_is_said_where_nothing_can_be_used(write: Write) -> None:
    empty = said(write([{"prompt": "", "completion": "x"}]))
    assert "none of the 1 rows can be used (the prompt is empty: 1)" in empty
    assert "can be used" in said(
        write([{"messages": []}, {"messages": [{"role": "user", "content": ""}]}])
    )


def test_a_processing_function_that_fails_is_named(write: Write) -> None:
    name = write([{"q": "1+1="}])

    def broken(row: dict[str, Any]) -> dict[str, Any]:
        return {"prompt": row["question"]}

    message = said(name, processing_fn=broken)
    assert "broken raised KeyError: 'question'" in message
    assert "the columns it was given: q" in message
    with pytest.raises(PluginError, match="No module named 'no_such_module'"):
        said(name, processing_fn="no_such_module:f")


def test_data_sets_that_do_not_fit_together(write: Write) -> None:
    first = write(ROWS[:2], "a.jsonl")
    text = write("some text\n", "c.txt")
    assert "need one shape" in said(first, text)
    assert f"{first}: prompt and completion; {text}: text" in said(first, text)
    chat = write(addition_rows(6, chat=True), "chat.jsonl")
    message = said(first, chat)
    assert first in message
    assert chat in message
