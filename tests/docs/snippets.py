"""Reads the code blocks of a Markdown page, and runs them as a reader would.

A block belongs to a file where the page says so: in a line of its own before it (`` `name` ``
or **`name`**, with or without a colon), in a comment there (`<!-- file: name -->`), or in the first
line of the block (`# name.yaml`). Blocks of one file are put together in the order of the page, and
replace a file that was there before the page.
"""

from __future__ import annotations

import contextlib
import doctest
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aligntune.config import load_config

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w-]*)(?P<more>.*)$")
NAMED = re.compile(
    r"^(?:<!-- *file: *(\S+) *-->|\**`([\w./-]+\.[a-z]+)`\**:?\**|\*\*([\w./-]+\.[a-z]+):?\*\*)$"
)
FIRST_LINE = re.compile(r"# (?P<name>[\w./-]+\.(?:yaml|yml|json|py|toml|jsonl))")
LANGUAGES = {"sh": "bash", "shell": "bash", "yml": "yaml", "pycon": "python", "py": "python"}


@dataclass(frozen=True)
class Snippet:
    """A fenced code block of a page."""

    page: str
    line: int
    language: str
    text: str
    file: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(path: Path, name: str = "") -> Iterator[Snippet]:
    """Yield the code blocks of a page in order; `name` stands for the page in messages."""
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    before = ""
    for number, line in lines:
        opened = FENCE.match(line)
        if opened is None:
            before = line.strip() or before
            continue
        body = []
        for _, inner in lines:
            if inner.strip() == opened["fence"]:
                break
            body.append(inner.removeprefix(opened["indent"]))
        language = LANGUAGES.get(opened["language"], opened["language"])
        yield Snippet(name or path.name, number, language, "\n".join(body), _file(before, body))
        before = ""


def _file(before: str, body: list[str]) -> str:
    found = NAMED.match(before)
    if found is not None:
        return next(group for group in found.groups() if group)
    first = FIRST_LINE.fullmatch(body[0].strip()) if body else None
    return first["name"] if first is not None else ""


def _plain(text: str) -> str:
    """Without what depends on the width of a terminal."""
    return " ".join(re.sub(r"[━─]+", "━", text).split())


def agrees(expected: str, written: str) -> bool:
    """Whether a page shows what was written.

    `...` stands for anything, and numbers with a decimal point may differ by 2 %, because the last
    digits of a training run are not the same on every processor.
    """
    parts = re.split(r"(\.\.\.|\d+\.\d+)", _plain(expected))
    pattern = "".join(
        re.escape(part) if index % 2 == 0 else ".*?" if part == "..." else r"(\d+\.?\d*)"
        for index, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, _plain(written))
    if found is None:
        return False
    wanted = [float(part) for part in parts[1::2] if part != "..."]
    return all(
        abs(float(given) - number) <= 0.02 * number
        for given, number in zip(found.groups(), wanted, strict=True)
    )


def _missing(expected: str, written: str) -> str:
    """The first part of what was expected, between `...` and `...`, that was not written."""
    text = _plain(written)
    return next((part for part in _plain(expected).split("...") if part.strip() not in text), "")


class DiffersError(AssertionError):
    """A command that did not write what the page says."""


def environment_for(site: Path, *commands: Path) -> dict[str, str]:
    """Variables with which commands run as written, and `pip install` installs into `site`.

    What packages need is there already, as is their build backend, so nothing is downloaded.
    Commands in the folders `commands` go before those of this Python.
    """
    return {
        "PATH": os.pathsep.join(
            [*map(str, commands), str(Path(sys.executable).parent), os.environ["PATH"]]
        ),
        "PYTHONPATH": str(site),
        "PIP_TARGET": str(site),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this 0 as: no isolation
        "PIP_QUIET": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",  # a second thread on so small a model only waits
        "COLUMNS": "100",
        "TERM": "dumb",
    }


@dataclass
class Reader:
    """Somebody who follows a page in a folder: makes its files, runs its commands and its Python.

    `environment` is added to that of this process for commands. YAML and JSON without a file name
    are fragments of a configuration, and are loaded on top of `base`.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__page__"})
    written: set[str] = field(default_factory=set)

    def follow(self, snippet: Snippet) -> None:
        """Do what a block is there for.

        Raises:
            AssertionError: if a command fails, or writes something else than the page shows.
        """
        if snippet.file:
            self._write(snippet)
        elif snippet.language == "bash":
            done = self._shell(snippet.text)
            assert done.returncode == 0, f"{snippet}: exit {done.returncode}\n{done.stdout}"
        elif snippet.language == "console":
            self._session(snippet)
        elif snippet.language == "python":
            self._python(snippet)
        elif snippet.language in ("yaml", "json"):
            self._fragment(snippet)
        elif snippet.language == "toml":
            tomllib.loads(snippet.text)
        else:
            assert snippet.language in ("text", "{toctree}", ""), f"{snippet}: {snippet.language}"

    def _write(self, snippet: Snippet) -> None:
        path = self.folder / snippet.file
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = "a" if snippet.file in self.written else "w"
        self.written.add(snippet.file)
        with path.open(mode, encoding="utf-8") as file:
            file.write(snippet.text + "\n\n" * (path.suffix == ".py") + "\n")

    def _shell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder, env=os.environ | dict(self.environment), check=False, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _session(self, snippet: Snippet) -> None:
        """Run each line after `$ `; what stands below it is what it writes."""
        for part in ("\n" + snippet.text).split("\n$ ")[1:]:
            command, _, expected = part.partition("\n")
            done = self._shell(command)
            code = 2 if re.search(r"^error: ", expected, re.MULTILINE) else 0
            if done.returncode != code or not agrees(expected, done.stdout):
                raise DiffersError(
                    f"{snippet}: `{command}` ended with {done.returncode} and did not write "
                    f"{_missing(expected, done.stdout)!r}, but\n{done.stdout[-3000:]}"
                )

    def _python(self, snippet: Snippet) -> None:
        with contextlib.chdir(self.folder):
            if snippet.text.lstrip().startswith(">>> "):
                self._doctest(snippet)
            else:
                code = compile("\n" * snippet.line + snippet.text, snippet.page, "exec")
                exec(code, self.names)

    def _doctest(self, snippet: Snippet) -> None:
        said: list[str] = []
        parser = doctest.DocTestParser()
        test = parser.get_doctest(snippet.text + "\n", self.names, snippet.page, None, snippet.line)
        test.globs = self.names
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        if runner.run(test, out=said.append, clear_globs=False).failed:
            raise DiffersError("".join(said))

    def _fragment(self, snippet: Snippet) -> None:
        load = yaml.safe_load if snippet.language == "yaml" else json.loads
        load_config({**self.base, **load(snippet.text)})
