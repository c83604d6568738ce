"""What the tests across distributions share: a small model, data of a real task, the command."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aligntune.cli.main import main
from aligntune.testing import addition_rows, make_model, write_jsonl

Jsonl = Callable[[Path], list[dict[str, Any]]]


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("together") / "model")


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of `prompt` and `completion` as chat messages, with an `answer` for the rewards."""
    return write_jsonl(tmp_path_factory.mktemp("data") / "chat.jsonl", addition_rows(24, chat=True))


@pytest.fixture(scope="session")
def read_jsonl() -> Jsonl:
    return lambda path: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def log_as_it_was() -> Iterator[None]:
    """The command sets up the log of the process it runs in, which here is that of all tests."""
    logger = logging.getLogger("aligntune")
    before = (logger.handlers[:], logger.propagate, logger.level)
    yield
    logger.handlers[:], logger.propagate = before[:2]
    logger.setLevel(before[2])


@pytest.fixture
def aligntune(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log_as_it_was: None
) -> Command:
    """The command line as the console script calls it, without the start of a new process."""

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["aligntune", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    return run
