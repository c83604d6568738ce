"""Data sets on a hub that this machine serves; the real clients ask it, in their own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aligntune.testing import Hub, addition_rows, write_jsonl

ROWS = addition_rows(6)
# Reads what each line of its input asks for; answers with the rows, or with what is said.
CLIENT = """
import json, sys
import datasets
from aligntune.config import DatasetConfig
from aligntune.data import load_rows
from aligntune.errors import DataError

datasets.disable_progress_bars()
for line in sys.stdin:
    try:
        answer = list(load_rows(DatasetConfig(**json.loads(line))))
    except DataError as error:
        answer = str(error)
    print("ANSWER " + json.dumps(answer), flush=True)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    sums = folder / "datasets" / "ada" / "sums"
    write_jsonl(sums / "train.jsonl", ROWS[:4])
    write_jsonl(sums / "test.jsonl", ROWS[4:])
    (sums / "README.md").write_text("# Sums\n")
    write_jsonl(sums.with_name("sums@old") / "train.jsonl", ROWS[:1])
    levels = folder / "datasets" / "ada" / "levels"
    subsets = ""
    for index, name in enumerate(("easy", "hard")):
        write_jsonl(levels / name / "train.jsonl", ROWS[index : index + 1])
        subsets += f"- config_name: {name}\n  data_files: {name}/*.jsonl\n"
    (levels / "README.md").write_text(f"---\nconfigs:\n{subsets}---\n")
    write_jsonl(folder / "datasets" / "ada" / "gated" / "train.jsonl", ROWS)
    broken = folder / "datasets" / "ada" / "broken"
    broken.mkdir()
    (broken / "train.jsonl").write_text('{"a": 1}\n{"a": \n')
    with Hub(folder, {"hf_ada": "ada", "hf_bob": "bob"}, gated={"ada/gated": {"ada"}}) as served:
        yield served


def ask(environment: dict[str, str], *wanted: dict[str, Any]) -> list[Any]:
    """The answers of one process to each of the data sets wanted."""
    done = subprocess.run(
        [sys.executable, "-c", CLIENT],
        input="".join(json.dumps(one) + "\n" for one in wanted),
        env={name: value for name, value in os.environ.items() if name != "HF_TOKEN"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert len(lines) == len(wanted)
    return [json.loads(line.removeprefix("ANSWER ")) for line in lines]


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_names_splits_subsets_and_revisions(hub: Hub, streaming: bool, tmp_path: Path) -> None:
    sums, levels = {"name": "ada/sums"}, {"name": "ada/levels"}
    wanted = [
        sums,
        sums | {"split": "test"},
        sums | {"revision": "old"},
        levels | {"subset": "hard"},
    ]
    answers = ask(hub.environment(tmp_path), *(one | {"streaming": streaming} for one in wanted))
    assert answers == [ROWS[:4], ROWS[4:], ROWS[:1], ROWS[1:2]]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"name": "ada/sum"}, "there is no data set of this name, or it is private; if it is yours, "),
    ({"name": "ada/sums", "split": "tests"}, "splits there: train, test; did you mean 'test'?"),
    ({"name": "ada/sums", "revision": "new"}, "there is no revision 'new'; there are: main, old"),
    ({"name": "ada/levels"}, "several subsets: choose one with `subset:`; there are: easy, hard"),
    (
        {"name": "ada/levels", "subset": "hardest"},
        "there is no subset 'hardest'; there are: easy, hard; did you mean 'hard'?",
    ),
    ({"name": "ada/gated"}, "it is gated: ask for access on its page, and log in with `hf auth"),
]


def test_each_mistake_is_told_apart(hub: Hub, tmp_path: Path) -> None:
    whole = [wanted for wanted, _ in MISTAKES]
    streamed = [wanted | {"streaming": True} for wanted in whole]
    answers = ask(hub.environment(tmp_path), *whole, *streamed)
    for (_, says), answer in zip(MISTAKES * 2, answers, strict=True):
        assert says in answer


def test_tokens_open_what_is_gated(hub: Hub, tmp_path: Path) -> None:
    gated = {"name": "ada/gated"}
    ada, bob = ({**hub.environment(tmp_path / n), "HF_TOKEN": f"hf_{n}"} for n in ("ada", "bob"))
    assert ask(ada, gated) == [ROWS]
    assert "it is gated" in ask(bob, gated)[0]


@pytest.mark.slow  # the clients try again for half a minute
def test_a_hub_that_cannot_be_reached_is_no_missing_data_set(hub: Hub, tmp_path: Path) -> None:
    environment = hub.environment(tmp_path / "empty")
    sums = {"name": "ada/sums"}
    gone = environment | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert "the hub cannot be reached; check the network and HF_ENDPOINT" in ask(gone, sums)[0]
    switched_off = environment | {"HF_HUB_OFFLINE": "1"}
    assert "HF_HUB_OFFLINE is set, and it is not in the cache" in ask(switched_off, sums)[0]


def test_what_was_read_once_is_read_again_offline(hub: Hub, tmp_path: Path) -> None:
    environment, sums = hub.environment(tmp_path), {"name": "ada/sums"}
    assert ask(environment, sums) == [ROWS[:4]]
    assert ask(environment | {"HF_HUB_OFFLINE": "1"}, sums) == [ROWS[:4]]


def test_broken_rows_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    wanted = [{"name": "ada/broken", "streaming": streaming} for streaming in (False, True)]
    for answer in ask(hub.environment(tmp_path), *wanted):
        assert answer.startswith("ada/broken: cannot be read: JSON parse error")
