"""What `aligntune rewards test` is given: rows to score, and parameters of the rewards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aligntune.errors import ConfigError, DataError, did_you_mean

__all__ = ["read_params", "rows_of"]

_FLAGS = {"completion": "text", "reference": "reference", "prompt": "prompt"}


def rows_of(
    file: Path | None,
    texts: Sequence[str],
    references: Sequence[str],
    prompts: Sequence[str],
    columns: Sequence[str],
) -> list[dict[str, Any]]:
    """The rows of a file, or those made of texts with a reference, a prompt and columns.

    Raises:
        ConfigError: if both or neither are given, or their numbers differ.
        DataError: if the file cannot be read, or holds no row.
    """
    if file is not None:
        if texts or references or prompts or columns:
            raise ConfigError("give rows with --file, or --text with --reference; not both")
        return _read(file)
    if not texts:
        raise ConfigError("give the completion to score with --text, or rows with --file")
    rows = [{"completion": text} for text in texts]
    for name, values in (("reference", references), ("prompt", prompts)):
        if len(values) not in (0, 1, len(texts)):
            raise ConfigError(f"{len(values)} times --{name} for {len(texts)} times --text")
        for index, row in enumerate(rows if values else ()):
            row[name] = values[index] if len(values) > 1 else values[0]
    more = dict(_assigned(text, "--column") for text in columns)
    if twice := sorted(more.keys() & rows[0].keys()):
        raise ConfigError(f"--column {twice[0]}: use --{_FLAGS[twice[0]]}, which is given already")
    return [{**row, **more} for row in rows]


def _read(file: Path) -> list[dict[str, Any]]:
    if file.suffix.lower() == ".jsonl" and file.is_file():
        try:
            rows = list(_lines(file))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file} cannot be read: {error}") from error
    else:
        from aligntune.config import DatasetConfig
        from aligntune.data import load_rows

        rows = [dict(row) for row in load_rows(DatasetConfig(name=str(file)))]
    if not rows:
        raise DataError(f"{file} holds no row")
    return rows


def _lines(file: Path) -> Iterable[dict[str, Any]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{file}:{number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise DataError(f"{file}:{number}: a row is an object, not {line.strip()[:40]}")
            yield row


def read_params(
    names: Sequence[str], single: Sequence[str], together: str | None
) -> dict[str, dict[str, Any]]:
    """Parameters by reward: `--params` as JSON, and `--param key=value` on top.

    With several rewards a key is written `reward.key`, and `--params` holds an object for each.

    Raises:
        ConfigError: for what is no JSON, or a parameter of a reward that is not named.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    if together is not None:
        try:
            given = json.loads(together)
        except ValueError as error:
            raise ConfigError(f"--params {together!r} is no JSON: {error}") from None
        for name, params in ({names[0]: given} if len(names) == 1 else _object(given)).items():
            _of(found, name, "--params").update(_object(params))
    for text in single:
        path, value = _assigned(text, "--param")
        name, dot, key = path.rpartition(".")
        if not dot and len(names) > 1:
            raise ConfigError(
                f"--param {text!r}: write {names[0]}.{key}=... to say which reward is meant"
            )
        _of(found, name or names[0], "--param")[key] = value
    return found


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"--params holds {value!r}; it must be a JSON object of parameters")
    return value


def _of(found: dict[str, dict[str, Any]], name: str, flag: str) -> dict[str, Any]:
    if name not in found:
        hint = did_you_mean(name, found) or f"rewards: {', '.join(found)}"
        raise ConfigError(f"{flag}: {name!r} is not among the rewards to test; {hint}")
    return found[name]


def _assigned(text: str, flag: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"{flag} {text!r} is not of the form key=value")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
