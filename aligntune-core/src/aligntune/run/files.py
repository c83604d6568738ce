"""Files that survive a killed process: whole files replaced at once, and lines that are appended.

Every line is valid JSON. JSON has no NaN and no infinity, so they are written as the strings
`"NaN"`, `"Infinity"` and `"-Infinity"`; `as_number` turns those back into floats.
"""

from __future__ import annotations

import json
import logging
import math
import numbers
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, SupportsFloat

from aligntune.errors import RunError

__all__ = [
    "append_jsonl",
    "as_number",
    "mend_jsonl",
    "plain",
    "read_json",
    "read_jsonl",
    "replace_text",
    "reported_errors",
    "to_json",
]

logger = logging.getLogger(__name__)

_NON_FINITE = ("NaN", "Infinity", "-Infinity")


@contextmanager
def reported_errors(action: str) -> Iterator[None]:
    """Turn an error of the operating system into a `RunError` that says what was being done."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot {action}: {error.strerror or error}") from error


def plain(value: Any) -> Any:
    """Return `value` as something JSON can hold, without loss where JSON has a form for it.

    One-element tensors and numpy scalars become numbers; paths, enums and dates their text; sets
    sorted lists; and an object that JSON knows nothing of its `repr`.
    """
    if isinstance(value, Enum):
        value = value.value
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    return _leaf(value)


def _leaf(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return _number_or_repr(value)


def _number_or_repr(value: Any) -> Any:
    if isinstance(value, numbers.Integral):
        return int(value)
    if not isinstance(value, SupportsFloat):
        return repr(value)
    try:
        number = float(value)
    except (TypeError, ValueError):  # a tensor of several elements has no single value
        return repr(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return number


def as_number(value: object) -> float | None:
    """The float that was written, or None where no number stands."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value)
    return float(value) if isinstance(value, str) and value in _NON_FINITE else None


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as valid JSON; a lone surrogate, which UTF-8 cannot hold, is escaped."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def replace_text(path: Path, text: str) -> None:
    """Write a whole file so that a reader, or a crash, sees the old text or the new, never half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with reported_errors(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Append one line; it has left the process when this returns."""
    line = (to_json(record) + "\n").encode()
    with reported_errors(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(line)


def mend_jsonl(path: Path) -> None:
    """Make a file whose last line was cut off ready for the next line.

    A last line that lacks only its end of line gets one; one that is cut off is taken away.
    """
    if not path.exists():
        return
    with reported_errors(f"read {path}"):
        data = path.read_bytes()
    if not data or data.endswith(b"\n"):
        return
    kept, _, last = data.rpartition(b"\n")
    whole = _parsed(last) is not None
    with reported_errors(f"write {path}"), path.open("r+b") as file:
        if whole:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(len(kept) + 1 if kept else 0)
    if not whole:
        logger.warning("%s: the last line was cut off, and is taken away", path)


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        RunError: if it cannot be read; names the file and the line.
    """
    with reported_errors(f"read {path}"):
        data = path.read_bytes()
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is not UTF-8 text: {error.reason}") from error
    except json.JSONDecodeError as error:
        raise RunError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from error


def read_jsonl(path: Path, notes: list[str] | None = None) -> list[dict[str, Any]]:
    """Return the records of a file of JSON lines; none if there is no such file.

    A last line that a killed process left cut off is left out, which is said in `notes`, or in the
    log as a warning where no list is given.

    Raises:
        RunError: if any other line is no JSON object; names the file and the line.
    """
    if not path.exists():
        return []
    with reported_errors(f"read {path}"):
        lines = path.read_bytes().split(b"\n")
    tail = lines.pop()  # empty, unless the last line lacks its end
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = _parsed(line)
        if record is None:
            raise RunError(f"{path}:{number}: not a JSON object: {_excerpt(line)}")
        records.append(record)
    if tail.strip():
        record = _parsed(tail)
        if record is not None:
            records.append(record)
        else:
            note = f"{path}:{len(lines) + 1}: the last line is cut off, and is left out"
            logger.warning(note) if notes is None else notes.append(note)
    return records


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    return record if isinstance(record, dict) else None


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return text if len(text) <= 60 else f"{text[:57]}..."
