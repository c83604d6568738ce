"""Streams: the same rows as those read at once, counted as they go by, trained on and resumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.config import DatasetConfig
from aligntune.data import Prepared, prepare
from aligntune.errors import ConfigError, DataError
from aligntune.testing import addition_rows, make_model, write_jsonl

ROWS = addition_rows(40)
CHAT = addition_rows(12, chat=True)
Write = Callable[..., str]


def lm(name: Any, **given: Any) -> Prepared:
    return prepare([DatasetConfig(name=name, **given)], "language-modelling")


CALC = {"type": "function", "function": {"name": "add", "description": "adds", "parameters": {}}}
SAME: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    (ROWS, {}),
    (ROWS, {"max_samples": 7}),
    (ROWS, {"system_prompt": "Add.", "preserve_columns": ["answer"]}),
    (CHAT, {"system_prompt": "Add."}),
    ([{"messages": row["prompt"] + row["completion"]} for row in CHAT], {"tools": [CALC]}),
    ([{"instruction": "a", "input": "", "output": "b"}] * 3, {}),
    (
        [{"frage": "a", "antwort": "b"}],
        {"column_mapping": {"frage": "prompt", "antwort": "output"}},
    ),
    ([*ROWS[:3], {"prompt": "", "completion": "x"}, {"prompt": None}, *ROWS[3:5]], {}),
]


@pytest.mark.parametrize(("rows", "given"), SAME, ids=range(len(SAME)))
def test_a_stream_has_the_rows_and_the_counts_of_what_is_read_at_once(
    rows: list[dict[str, Any]], given: dict[str, Any], write: Write
) -> None:
    name = write(rows)
    whole, streamed = lm(name, **given), lm(name, streaming=True, **given)
    assert isinstance(streamed.rows, datasets.IterableDataset)
    assert [{**row} for row in streamed.rows] == whole.rows.to_list()
    assert streamed.reports == whole.reports


def test_rows_count_once_however_often_they_are_looked_at(write: Write) -> None:
    rows = [ROWS[0], {"prompt": "", "completion": "x"}, *ROWS[1:6]]
    prepared = lm(write(rows), streaming=True)
    report = prepared.reports[0]
    list(prepared.rows.take(3))  # which looks one row ahead
    assert (report.read, report.kept, sum(report.left_out.values())) == (5, 4, 1)
    for _ in range(2):
        list(prepared.rows)
        assert (report.read, report.kept, sum(report.left_out.values())) == (7, 6, 1)


def twice(row: dict[str, Any], mark: str = "") -> dict[str, Any]:
    return {"text": row["q"] * 2 + mark}


def both(rows: dict[str, Any]) -> dict[str, Any]:
    return {"text": [q * 2 for q in rows["q"]]}


def broken(row: dict[str, Any]) -> dict[str, Any]:
    return {"text": row["q"] if row["q"] != "3" else row["none"]}


def test_processing_functions(write: Write) -> None:
    name = write([{"q": str(number)} for number in range(6)])
    given: dict[str, Any] = {"processing_fn": twice, "processing_fn_kwargs": {"mark": "!"}}
    assert list(lm(name, streaming=True, **given).rows)[1] == {"text": "11!"}
    batched = lm(name, streaming=True, processing_fn=both, processing_batched=True)
    assert list(batched.rows)[2] == {"text": "22"}
    with pytest.raises(DataError, match=r"broken raised KeyError: 'none' \(row 3\)"):
        list(lm(name, streaming=True, processing_fn=broken).rows)


def shorter(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    return {"text": [text for text in rows["text"] if int(text) % 3]}


def test_rows_that_a_batched_function_does_not_return_are_counted(write: Write) -> None:
    name = write([{"text": str(number)} for number in range(9)])
    given = {"processing_fn": shorter, "processing_batched": True}
    found = lm(name, streaming=True, **given)
    assert len(list(found.rows)) == len(list(found.rows)) == 6
    assert found.reports[0].left_out == {"processing_fn did not return them": 3}
    assert (found.reports[0].read, found.reports[0].kept) == (9, 6)
    assert found.reports[0].left_out == lm(name, **given).reports[0].left_out


WRONG: list[tuple[list[dict[str, Any]], str]] = [
    ([{"prompt": "", "completion": "x"}], "none of the 1 rows can be used"),
    ([{"other": "x"}], "rows need `messages`"),
    (
        [{"prompt": "a", "completion": "b"}, {"prompt": CHAT[0]["prompt"], "completion": "b"}],
        "row 1",
    ),
]


@pytest.mark.parametrize(("rows", "says"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_trained_on(rows: list[dict[str, Any]], says: str) -> None:
    def give() -> Any:
        yield from rows

    stream = datasets.IterableDataset.from_generator(give)
    with pytest.raises(DataError, match=says):
        list(lm(stream).rows)


def test_an_empty_stream(write: Write) -> None:
    with pytest.raises(DataError, match="is empty"):
        lm(write("prompt,completion\n", "rows.csv"), streaming=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streaming")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", [*ROWS, {"prompt": "", "completion": "x"}])
    return folder


def settings(folder: Path, run: Path, **given: Any) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "datasets": [{"name": str(folder / "rows.jsonl"), "streaming": True}],
        "backend": "trl",
        "output_dir": str(run),
        "precision": "fp32",
        "max_steps": 6,
        "per_device_batch_size": 2,
        "loggers": "none",
        "logging_steps": 1,
        "save_strategy": "no",
        "learning_rate": 1e-3,
        **given,
    }


def losses(run: Path) -> list[float]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [found["loss"] for line in lines if "loss" in (found := json.loads(line))]


def test_a_resumed_stream_goes_on_with_the_same_rows(folder: Path, tmp_path: Path) -> None:
    whole = settings(folder, tmp_path / "whole", save_strategy="steps", save_interval=3)
    create_sft_trainer(**whole).train()
    stopped = settings(folder, tmp_path / "stopped", save_strategy="steps", save_interval=3)
    create_sft_trainer(**stopped, stop_after_steps=3).train()
    assert len(losses(tmp_path / "stopped")) == 3
    create_sft_trainer(**stopped).train(resume=True)
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    assert len(set(losses(tmp_path / "whole"))) == 6
    record = json.loads((tmp_path / "stopped" / "data.json").read_text())["train"][0]
    assert 12 <= record["read"] < 20
    assert record["kept"] == record["read"]


def test_a_stream_is_gone_through_again_until_the_steps_are_done(
    folder: Path, tmp_path: Path
) -> None:
    create_sft_trainer(**settings(folder, tmp_path, max_steps=30)).train()
    assert len(losses(tmp_path)) == 30
    record = json.loads((tmp_path / "data.json").read_text())["train"][0]
    assert (record["read"], record["kept"]) == (41, 40)
    assert sum(record["left_out"].values()) == 1


def test_a_stream_is_packed_and_evaluated(folder: Path, tmp_path: Path) -> None:
    data = [{"name": str(folder / "rows.jsonl"), "streaming": True, "val_size": 4}]
    given = settings(folder, tmp_path, datasets=data, packing=True, max_steps=2, max_seq_length=32)
    trainer = create_sft_trainer(**given)
    trainer.train()
    assert trainer.evaluate()["eval_loss"] > 0


def test_rows_of_a_stream_that_are_too_long_are_counted(folder: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "p" * (30 if n % 4 == 1 else 2), "completion": "c"} for n in range(12)]
    name = str(write_jsonl(tmp_path / "long.jsonl", rows))
    data = [{"name": name, "streaming": True}]
    run = tmp_path / "run"
    create_sft_trainer(**settings(folder, run, datasets=data, max_seq_length=16)).train()
    record = json.loads((run / "data.json").read_text())
    assert record["train"][0]["kept"] == 12
    assert record["too_long"] == 3


def test_a_stream_of_which_nothing_fits(folder: Path, tmp_path: Path) -> None:
    trainer = create_sft_trainer(**settings(folder, tmp_path, max_seq_length=2))
    with pytest.raises(DataError, match=r"fits into 2 tokens; raise `model.max_seq_length`"):
        trainer.train()


def test_algorithms_that_measure_prompts_first_take_no_stream(folder: Path, tmp_path: Path) -> None:
    given = settings(folder, tmp_path, algorithm="grpo", rewards=[{"type": "accuracy"}])
    with pytest.raises(ConfigError, match="prompts are measured before training"):
        create_rl_trainer(**given)
    stream = datasets.Dataset.from_list(ROWS).to_iterable_dataset()
    with pytest.raises(ConfigError, match="a stream was passed"):
        create_rl_trainer(**{**given, "datasets": [stream]})


PEAK = """
import resource, sys
from aligntune.config import DatasetConfig
from aligntune.data import prepare

rows = prepare([DatasetConfig(name=sys.argv[1], streaming=True)], "language-modelling").rows
assert sum(1 for _ in rows) == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Of 20 MB of rows and of 60 MB: what is held is a few blocks of 10 MB at a time."""
    peaks = []
    for count in (1_000, 3_000):
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for number in range(count):
                file.write(
                    json.dumps({"prompt": f"{number} " * 3, "completion": "x" * 20_000}) + "\n"
                )
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(path), str(count)],
            env=os.environ | {"HF_HOME": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        )
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 25, peaks
