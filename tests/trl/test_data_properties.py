"""Whatever lies in a file, and whatever it is called: there are rows, or an error that names it."""

from __future__ import annotations

import gzip
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aligntune.config import DatasetConfig
from aligntune.data import load_rows
from aligntune.errors import ConfigError, DataError

# A fiftieth of all cases for each test: these touch files, those of the configuration do not.
CASES = int(os.environ.get("ALIGNTUNE_EXAMPLES", "2500")) // 50
few = settings(
    max_examples=max(1, CASES),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
ENDINGS = [".jsonl", ".json", ".csv", ".tsv", ".txt", ".parquet", ".arrow", ".jsonl.gz", ".xyz"]


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    level = logging.getLogger("datasets").level
    yield
    logging.getLogger("datasets").setLevel(level)
    datasets.enable_progress_bars()


def outcome(**given: Any) -> list[Any] | str:
    """The rows, or what is said of them; anything else escapes and fails the test."""
    try:
        return list(load_rows(DatasetConfig(**given)))
    except (ConfigError, DataError) as error:
        return str(error)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
rows = st.lists(
    st.dictionaries(st.sampled_from(["prompt", "completion", ""]) | st.text(max_size=3), values)
    | values,
    max_size=4,
)
lines = rows.map(lambda found: "\n".join(map(json.dumps, found)).encode())
contents = (
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | lines
    | rows.map(lambda found: json.dumps(found).encode())
    | st.tuples(lines, st.binary(max_size=3)).map(b"\n".join)
    | st.text(alphabet='a,;"\n\r\t1 ', max_size=40).map(str.encode)
)


@few
@given(st.sampled_from(ENDINGS), contents, st.booleans(), st.booleans())
@example(".jsonl", b'{"a": "\xff"}', False, False)
@example(".json", b"null", False, False)
@example(".csv", b'a,b\n"', False, True)
@example(".json", b"[" * 2000, False, False)
@example(".parquet", b"PAR1\x00\x00\x00\x00PAR1", False, False)
def test_any_content(ending: str, content: bytes, streaming: bool, packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{ending}"
        path.write_bytes(gzip.compress(content) if packed and ending.endswith(".gz") else content)
        found = outcome(name=str(path), streaming=streaming)
    if isinstance(found, str):
        assert "rows" in found
    else:
        assert all(isinstance(row, dict) for row in found)


names = st.text(max_size=12) | st.text(alphabet="ab./*?[]~:{}@\\ -", min_size=1, max_size=12)


@few
@given(names, st.booleans())
@example("[", False)
@example("a/b@c", False)
@example("..", True)
def test_any_name(name: str, streaming: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = outcome(name=name, streaming=streaming)
    assert isinstance(found, str)


parts = st.sampled_from(["train", "test", "[", "]", ":", "+", "50%", "-1", "3", "all", " ", "x"])


@few
@given(
    st.text(max_size=6) | st.lists(parts, max_size=6).map("".join),
    st.none() | st.text(max_size=4),
    st.booleans(),
    st.booleans(),
)
@example("train[:50%]+test[-1:]", None, False, True)
def test_any_split_and_subset(
    split: str, subset: str | None, streaming: bool, as_object: bool
) -> None:
    both = {"train": SOME, "test": SOME.select([0])}
    if as_object:
        found = outcome(
            name=datasets.DatasetDict(both), split=split, subset=subset, streaming=streaming
        )
    else:
        with tempfile.TemporaryDirectory() as folder:
            for name, some in both.items():
                some.to_json(Path(folder) / f"{name}.jsonl")
            found = outcome(name=folder, split=split, subset=subset, streaming=streaming)
    assert isinstance(found, str) or all(row["a"] in (0, 1, 2, 3) for row in found)


SOME = datasets.Dataset.from_dict({"a": [0, 1, 2, 3]})
