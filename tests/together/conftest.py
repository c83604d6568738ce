"""What the tests across distributions share: a small model, data of a real task, the command."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
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


@pytest.fixture(scope="session")
def call() -> Callable[..., int]:
    """The command line as the console script calls it, without the start of a new process.

    It returns the exit code, and leaves the log of the process as it found it.
    """

    def run(*arguments: str | Path) -> int:
        logger = logging.getLogger("aligntune")
        handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", ["aligntune", *map(str, arguments)])
                main()
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        finally:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
        return 0

    return run


@pytest.fixture
def aligntune(call: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Command:
    """The same, with what it wrote."""

    def run(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = call(*arguments)
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    return run
