"""Where a file is broken. The loaders say that it is; this finds the line and the column."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from aligntune.data.files import ending_of, kind_of

__all__ = ["broken_place", "null_first"]

_TEXT = (".jsonl", ".json", ".csv", ".tsv", ".txt")


def broken_place(files: Iterable[Path], said: str) -> str | None:
    """`file:line:column: what is wrong there`, of the first place that is broken, or None.

    Args:
        files: the files that were read.
        said: what the loader said; the lines that a CSV reader counts stand in it.
    """
    texts = [file for file in files if ending_of(file) in _TEXT]
    for file in texts:
        try:
            found = _broken_text(file) or (_broken_json(file) if kind_of(file) == "json" else None)
        except (OSError, EOFError) as error:  # not compressed as its name says
            return f"{file}: cannot be read: {error}"
        if found is not None:
            return f"{file}:{found}"
    line = re.search(r"in line (\d+), (saw \d+)", said) or re.search(r"at row (\d+)()", said)
    if line is not None and len(texts) == 1 and kind_of(texts[0]) == "csv":
        return f"{texts[0]}:{line[1]}: {said.rpartition('error: ')[2].strip()}"
    return None


def null_first(files: Iterable[Path]) -> str | None:
    """`file:1: what is wrong there`, of the first JSON file that begins with null, or None.

    The reader of Arrow (pyarrow 26) does not raise for it: it ends the process.
    """
    for file in files:
        if kind_of(file) == "json":
            with _open(file) as begin:
                if re.match(rb"(?:\xef\xbb\xbf)?\s*\[?\s*null", begin.read(1 << 16)):
                    return f"{file}:1: expected a JSON object, found null"
    return None


def _open(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file)) if file.suffix.lower() == ".gz" else file.open("rb")


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    with _open(file) as lines:
        for number, line in enumerate(lines, 1):
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def _broken_text(file: Path) -> str | None:
    """The first line that is not UTF-8."""
    for number, line in _lines(file):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode()) + 1
            return f"{number}:{column}: this is not UTF-8: {error.reason}"
    return None


def _broken_json(file: Path) -> str | None:
    if ending_of(file) == ".json":
        with _open(file) as whole:
            text = whole.read().decode("utf-8-sig")
        found = _parsed(text)
        first = _parsed(text.partition("\n")[0])
        if isinstance(found, list):
            wrong = next((item for item in found if not isinstance(item, dict)), None)
            return None if wrong is None else f"1: expected a list of objects, found {_a(wrong)}"
        if isinstance(found, json.JSONDecodeError) and not isinstance(first, dict):
            return f"{found.lineno}:{found.colno}: this is not JSON: {found.msg}"
    for number, line in _lines(file):
        row = _parsed(line.decode().rstrip()) if line.strip() else {}
        if isinstance(row, json.JSONDecodeError):
            return f"{number}:{row.colno}: this is not JSON: {row.msg}"
        if not isinstance(row, dict):
            return f"{number}: expected a JSON object, found {_a(row)}"
    return None


def _parsed(text: str) -> Any:
    """What a text says in JSON, or the error that says where it is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return error
    except (RecursionError, ValueError):  # too deep, or a number of too many digits: no place
        return {}


def _a(value: Any) -> str:
    return f"a {type(value).__name__}"
