"""Where rows come from: files of every kind, folders, patterns, saved data sets and objects."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from aligntune import ConfigLoader
from aligntune.config import DatasetConfig, SFTConfig
from aligntune.data import load_rows, prepare
from aligntune.enums import TaskType
from aligntune.errors import ConfigError, DataError
from aligntune.plan import make_plan
from aligntune.plan.resolved import resolved_yaml
from aligntune.testing import addition_rows, write_jsonl

ROWS = addition_rows(6)
TEXTS = [{"text": row["prompt"]} for row in ROWS]


def read(name: Any, **given: Any) -> list[dict[str, Any]]:
    return list(load_rows(DatasetConfig(name=name, **given)))


def said(name: Any, **given: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(name, **given)
    return str(caught.value)


def arrow(path: Path) -> None:
    with datasets.arrow_writer.ArrowWriter(path=str(path)) as writer:
        writer.write_table(datasets.Dataset.from_list(ROWS).data.table)
        writer.finalize()


def table(separator: str) -> str:
    lines = [separator.join(row.values()) for row in ROWS]
    return "\n".join([separator.join(ROWS[0]), *lines])


LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
WRITERS: dict[str, Callable[[Path], Any]] = {
    "rows.jsonl": lambda path: path.write_text(LINES),
    "rows.json": lambda path: path.write_text(json.dumps(ROWS, indent=1)),
    "lines.json": lambda path: path.write_text(LINES),
    "rows.csv": lambda path: path.write_text(table(",")),
    "rows.tsv": lambda path: path.write_text(table("\t")),
    "rows.parquet": lambda path: datasets.Dataset.from_list(ROWS).to_parquet(path),
    "rows.arrow": arrow,
    "rows.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES.encode())),
    "rows.json.gz": lambda path: path.write_bytes(gzip.compress(json.dumps(ROWS).encode())),
    "rows.csv.gz": lambda path: path.write_bytes(gzip.compress(table(",").encode())),
    "rows.tsv.gz": lambda path: path.write_bytes(gzip.compress(table("\t").encode())),
    "ROWS.JSONL": lambda path: path.write_text(LINES),
    "odd [1] *?.jsonl": lambda path: path.write_text(LINES),
}


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_every_kind(name: str, streaming: bool, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    rows = read(str(tmp_path / name), streaming=streaming)
    assert [{k: str(v) for k, v in row.items()} for row in rows] == ROWS


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ["notes.txt", "notes.txt.gz"])
def test_a_text_file_has_a_row_for_each_line(name: str, streaming: bool, tmp_path: Path) -> None:
    text = "\n".join(row["text"] for row in TEXTS).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert read(str(tmp_path / name), streaming=streaming) == TEXTS


def test_patterns(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a" / "one.jsonl", ROWS[:2])
    write_jsonl(tmp_path / "a" / "b" / "two.jsonl", ROWS[2:5])
    assert read(f"{tmp_path}/a/*.jsonl") == ROWS[:2]
    assert read(f"{tmp_path}/**/*.jsonl") == [*ROWS[2:5], *ROWS[:2]]
    assert read(f"{tmp_path}/a/[n-p]*.jsonl") == ROWS[:2]


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_a_folder_has_the_splits_that_its_files_name(streaming: bool, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train-00000-of-00002.jsonl", ROWS[:2])
    write_jsonl(tmp_path / "train-00001-of-00002.jsonl", ROWS[2:3])
    write_jsonl(tmp_path / "test.jsonl", ROWS[3:])
    name = str(tmp_path)
    assert read(name, streaming=streaming) == ROWS[:3]
    assert read(name, split="test", streaming=streaming) == ROWS[3:]
    assert read(name, split="train+test", streaming=streaming) == ROWS
    message = said(name, split="tests", streaming=streaming)
    assert "there is no split 'tests'; splits there: train, test; did you mean 'test'?" in message


def test_a_file_of_a_folder_that_belongs_to_no_split_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aligntune.data.load.logger.propagate", True)
    write_jsonl(tmp_path / "train.jsonl", ROWS[:2])
    write_jsonl(tmp_path / "more.jsonl", ROWS[2:])
    assert read(str(tmp_path)) == ROWS[:2]
    assert "more.jsonl not read" in caplog.text


def test_a_folder_with_subsets_that_its_card_names(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "easy" / "train.jsonl", ROWS[:2])
    write_jsonl(tmp_path / "hard" / "train.jsonl", ROWS[2:])
    subsets = "".join(
        f"- config_name: {name}\n  data_files: {name}/*.jsonl\n" for name in ("easy", "hard")
    )
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{subsets}---\n")
    assert read(str(tmp_path), subset="hard") == ROWS[2:]
    assert "several subsets: choose one with `subset:`; there are: easy, hard" in said(
        str(tmp_path)
    )
    message = said(str(tmp_path), subset="harder")
    assert "no subset 'harder'; there are: easy, hard; did you mean 'hard'?" in message


SLICES = [
    ("train[:50%]", ROWS[:2]),
    ("train[1:3]", ROWS[1:3]),
    ("train[-1:]+test", [ROWS[3], *ROWS[4:]]),
    ("all", ROWS),
]


@pytest.mark.parametrize(("split", "rows"), SLICES)
def test_slices_of_splits(split: str, rows: list[Any], tmp_path: Path) -> None:
    both = datasets.DatasetDict(
        train=datasets.Dataset.from_list(ROWS[:4]), test=datasets.Dataset.from_list(ROWS[4:])
    )
    both.save_to_disk(tmp_path / "saved")
    write_jsonl(tmp_path / "folder" / "train.jsonl", ROWS[:4])
    write_jsonl(tmp_path / "folder" / "test.jsonl", ROWS[4:])
    for name in (both, str(tmp_path / "saved"), str(tmp_path / "folder")):
        assert read(name, split=split) == rows


@pytest.mark.parametrize("split", ["train[", "train[:x]", "train[:101%]", "[:3]", "train+"])
def test_what_is_no_slice(split: str, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    assert "split" in said(str(tmp_path / "rows.jsonl"), split=split)
    assert "split" in said(datasets.Dataset.from_list(ROWS), split=split)


def test_a_stream_has_no_slices(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    message = said(str(tmp_path / "rows.jsonl"), split="train[:2]", streaming=True)
    assert "needs the number of rows, which a stream does not know; use `max_samples`" in message


def test_saved_data_sets(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_list(ROWS)
    rows.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=rows, test=rows.select([0])).save_to_disk(tmp_path / "two")
    assert read(str(tmp_path / "one"), streaming=True) == ROWS
    assert read(str(tmp_path / "two"), split="test") == ROWS[:1]
    assert "splits there: train, test; did you mean 'test'?" in said(
        str(tmp_path / "two"), split="tset"
    )
    assert "a saved data set has no subset 'x'" in said(str(tmp_path / "one"), subset="x")
    (tmp_path / "one" / "dataset_info.json").unlink()
    assert "the saved data set cannot be read" in said(str(tmp_path / "one"))


def test_objects() -> None:
    rows = datasets.Dataset.from_list(ROWS)
    both = datasets.DatasetDict(train=rows, test=rows.select([0]))
    assert read(rows) == read(both) == read(rows.to_iterable_dataset()) == ROWS
    assert read(rows, streaming=True) == ROWS
    assert isinstance(load_rows(DatasetConfig(name=rows, streaming=True)), datasets.IterableDataset)
    assert read(both, split="test") == ROWS[:1]
    assert "Dataset of 6 rows: there is no split 'test'; splits there: train" in said(
        rows, split="test"
    )
    assert "an object that was passed has no revision" in said(rows, revision="main")
    with pytest.raises(ConfigError, match=r"expected a name, a path or a `datasets.Dataset`"):
        DatasetConfig(name=datasets.Features())


def test_an_object_is_passed_in_every_form_and_not_read_back() -> None:
    rows = datasets.Dataset.from_list(ROWS)
    forms: list[dict[str, Any]] = [
        {"dataset_name": rows},
        {"dataset": rows},
        {"datasets": [rows]},
        {"datasets": [{"name": rows}]},
    ]
    written = {
        resolved_yaml(make_plan(SFTConfig(model_name="tiny", max_steps=1, **form)))
        for form in forms
    }
    assert len(written) == 1
    with pytest.raises(ConfigError, match="pass it again") as caught:
        ConfigLoader.load_from_dict(yaml.safe_load(written.pop()))
    assert "<Dataset of 6 rows, passed as an object>" in str(caught.value)
    assert len(caught.value.problems) == 1


BROKEN: list[tuple[str, bytes, str]] = [
    ("a.jsonl", b'{"a": "x"}\n{"a": \n', "a.jsonl:2:6: this is not JSON"),
    ("a.jsonl", b'{"a": "x"}\n\n{"a": "\xff"}\n', "a.jsonl:3:8: this is not UTF-8"),
    ("a.jsonl", b'{"a": "x"}\n"b"\n', "a.jsonl:2: expected a JSON object, found a str"),
    ("a.json", b'[{"a": "x"},\n {"a" "y"}]', "a.json:2:7: this is not JSON"),
    ("a.json", b'{"a": "x"}\n{"a"}\n', "a.json:2:5: this is not JSON"),
    ("a.jsonl", b'\n null\n{"a": 1}\n', "a.jsonl:1: expected a JSON object, found null"),
    ("a.json", b'[null, {"a": 1}]', "a.json:1: expected a JSON object, found null"),
    ("a.json", b'"text"', "a.json:1: expected a JSON object, found a str"),
    ("a.csv", b"a,b\n1,2\n1,2,3\n", "a.csv:3: Expected 2 fields in line 3, saw 3"),
    ("a.csv", b"a,b\n\xff,2\n", "a.csv:2:1: this is not UTF-8"),
    ("a.txt", b"good\nb\xc3\xa4d \xff\n", "a.txt:2:5: this is not UTF-8"),
    ("a.parquet", b"PAR1", "a.parquet: cannot be read"),
    ("a.arrow", b"ARROW1", "a.arrow: cannot be read"),
    ("a.jsonl.gz", b"plain", "a.jsonl.gz: cannot be read: Not a gzipped file"),
    ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n')[:-9], "a.jsonl.gz: cannot be read"),
]


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("name", "content", "says"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_broken_is_named_by_its_place(
    name: str, content: bytes, says: str, streaming: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in said(str(tmp_path / name), streaming=streaming)


def test_a_broken_line_far_behind_is_found_when_a_stream_reaches_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "' + "x" * 5000 + '"}\n' * 1)
    with path.open("a") as file:
        file.writelines('{"text": "' + "x" * 5000 + '"}\n' for _ in range(3000))
        file.write('{"text" "x"}\n')
    rows = iter(load_rows(DatasetConfig(name=str(path), streaming=True)))
    for _ in range(100):
        next(rows)
    with pytest.raises(DataError, match=r"rows\.jsonl:3002:9: this is not JSON"):
        list(rows)


NAMES: list[tuple[str, str]] = [
    ("row.jsonl", "there is no such file; did you mean 'rows.jsonl'?"),
    ("none/rows.jsonl", "there is no such file"),
    ("*.csv", "no file matches"),
    ("empty", "the folder holds no data files"),
    ("*", "files of one of these kinds are read together"),
    ("x" * 300 + ".jsonl", "cannot be looked for: [Errno 36] File name too long"),
]


@pytest.mark.parametrize(("name", "says"), NAMES, ids=range(len(NAMES)))
def test_what_is_said_of_names_that_are_no_data(name: str, says: str, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    (tmp_path / "notes.txt").write_text("text\n")
    (tmp_path / "empty").mkdir()
    assert says in said(str(tmp_path / name))


def test_names_that_are_neither_files_nor_on_a_hub() -> None:
    assert "addresses are not read" in said("https://example.com/rows.jsonl")
    assert "HF_HUB_OFFLINE is set" in said("nobody/nothing")
    for name in ("a/b/c/d", "json", "two words", "~nobody/rows.jsonl", "nul\0"):
        assert name in said(name)


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_columns_may_miss_in_some_rows(streaming: bool, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [{"a": 1}, {"a": 2, "b": "x"}])
    assert read(str(tmp_path / "rows.jsonl"), streaming=streaming) == [
        {"a": 1, "b": None},
        {"a": 2, "b": "x"},
    ]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_text_in_a_table_stays_what_it_is(tmp_path: Path, ending: str, streaming: bool) -> None:
    said = ["02134", "0.10", "12345678901234567890", "None", "NA", "null", "1e3", "True"]
    separator = "," if ending == "csv" else "\t"
    path = tmp_path / f"rows.{ending}"
    path.write_text(
        "\n".join([f"prompt{separator}completion", *(f"q{separator}{a}" for a in said)])
    )
    config = DatasetConfig(name=str(path), streaming=streaming)
    rows = prepare([config], "language-modelling").rows
    assert [row["completion"] for row in rows] == said


def test_a_class_that_a_table_numbers_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\na,1\nb,0\nc,\nd,-1\n")
    config = DatasetConfig(name=str(tmp_path / "rows.csv"), task_type=TaskType.TEXT_CLASSIFICATION)
    found = prepare([config], "text-classification")
    assert [row["label"] for row in found.rows] == [1, 0]
    assert sum(found.reports[0].left_out.values()) == 2
