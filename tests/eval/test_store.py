"""What is put into a store is there for the next process, and never for another model or task."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from aligntune.errors import AlignTuneError, EvaluationError
from aligntune_eval.runner.store import FileStore, changes

if TYPE_CHECKING:
    from pathlib import Path

BINDING = {"weights": "a", "task": "t"}


def filled(path: Path) -> Path:
    with FileStore(path, BINDING) as store:
        store.put({"one": 1, "two": [2, "zwei"]})
        store.put({"three": {"ids": [3]}})
    return path


def test_values_are_there_for_the_next_one(tmp_path: Path) -> None:
    with FileStore(filled(tmp_path / "deep" / "part.jsonl"), BINDING) as store:
        assert len(store) == 3
        assert (store.get("one"), store.get("two"), store.get("none")) == (1, [2, "zwei"], None)
        assert store.get("three") == {"ids": [3]}
        assert store.begun_anew == ""


def test_what_was_there_before_is_counted_once(tmp_path: Path) -> None:
    with FileStore(filled(tmp_path / "part.jsonl"), BINDING) as store:
        store.put({"new": 4})
        for key in ("one", "one", "new", "none"):
            store.get(key)
        assert store.reused == 1


def test_each_put_is_a_line_on_disk_when_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "part.jsonl"
    with FileStore(path, BINDING) as store:
        for number in range(3):
            store.put({str(number): number})
            last = json.loads(path.read_text().splitlines()[-1])
            assert last == {"entries": {str(number): number}}


def test_a_torn_last_line_is_dropped_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = filled(tmp_path / "part.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with caplog.at_level(logging.WARNING), FileStore(path, BINDING) as store:
        assert (store.get("two"), store.get("three")) == ([2, "zwei"], None)
        store.put({"four": 4})
    assert "the last line was cut off" in caplog.text
    with FileStore(path, BINDING) as store:
        assert (store.get("two"), store.get("four")) == ([2, "zwei"], 4)


def test_a_store_torn_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "part.jsonl"
    path.write_text('{"format": 1, "bind')
    with FileStore(path, BINDING) as store:
        store.put({"one": 1})
    with FileStore(path, BINDING) as store:
        assert store.get("one") == 1


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"weights": "b", "task": "t"}, "changed since: weights"),
        ({"weights": "b", "task": "u"}, "changed since: task, weights"),
        ({"weights": "a", "task": "t", "torch": "3"}, "changed since: torch"),
    ],
)
def test_another_model_or_task_takes_nothing(
    tmp_path: Path, now: dict[str, str], said: str
) -> None:
    path = filled(tmp_path / "part.jsonl")
    with FileStore(path, now) as store:
        assert store.begun_anew == said
        assert store.get("one") is None
    with FileStore(path, BINDING) as store:
        assert store.get("one") is None


def test_a_file_of_another_format_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "part.jsonl"
    path.write_text(json.dumps({"format": 0, "binding": BINDING}) + '\n{"entries": {"one": 1}}\n')
    with FileStore(path, BINDING) as store:
        assert "another version" in store.begun_anew
        assert store.get("one") is None


def test_overwriting_takes_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "part.jsonl")
    with FileStore(path, BINDING, overwrite=True) as store:
        assert len(store) == 0
    with FileStore(path, BINDING) as store:
        assert len(store) == 0


def test_a_damaged_line_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = filled(tmp_path / "part.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{", lines[2]]) + "\n")
    with pytest.raises(EvaluationError, match=r"part\.jsonl:2: .*--overwrite"):
        FileStore(path, BINDING)
    with FileStore(path, BINDING, overwrite=True) as store:
        assert len(store) == 0


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.jsonl"
    with FileStore(path, BINDING) as store:
        store.put({"one": 1})
        with pytest.raises(EvaluationError, match="another process evaluates the same model"):
            FileStore(path, BINDING)
    with FileStore(path, BINDING) as store:
        assert store.get("one") == 1


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    with FileStore(tmp_path / "part.jsonl", BINDING) as store:
        store.put({"one": 1})
        store.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AlignTuneError, match=r"cannot write .*part\.jsonl"):
        FileStore(tmp_path / "file" / "part.jsonl", BINDING)


def test_changes_are_named() -> None:
    assert changes({"a": "1", "b": "2"}, {"a": "1", "c": "3"}) == ["b", "c"]


def test_each_put_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine that loses power keeps: the lines were there when the disk was asked."""
    path = tmp_path / "part.jsonl"
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda _: synced.append(len(path.read_text().splitlines())))
    with FileStore(path, BINDING) as store:
        store.put({"one": 1})
        store.put({"two": 2})
    assert synced == [1, 2, 3]
