"""The small data sets that come with `aligntune.testing`."""

from __future__ import annotations

import json
from pathlib import Path

from aligntune.testing import addition_rows, write_jsonl


def test_sums_are_right_different_and_depend_on_the_seed_alone(tmp_path: Path) -> None:
    rows = addition_rows(200, seed=1)
    assert all(eval(row["prompt"].rstrip("=")) == int(row["answer"]) for row in rows)
    assert len({row["prompt"] for row in rows}) == 200
    assert rows == addition_rows(200, seed=1) != addition_rows(200, seed=2)
    read = write_jsonl(tmp_path / "a" / "rows.jsonl", rows).read_text().splitlines()
    assert [json.loads(line) for line in read] == rows


def test_chat_rows_say_the_same_as_plain_ones() -> None:
    plain, chat = addition_rows(5), addition_rows(5, chat=True)
    for one, other in zip(plain, chat, strict=True):
        assert other["prompt"] == [{"role": "user", "content": one["prompt"]}]
        assert other["completion"] == [{"role": "assistant", "content": one["completion"]}]
        assert other["answer"] == one["answer"]
