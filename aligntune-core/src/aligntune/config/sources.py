"""Reads YAML and JSON files, keeping the line and column of every value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aligntune.config.positions import json_places, yaml_places
from aligntune.errors import ConfigError, Problem

__all__ = ["Document", "read_file", "read_text"]

SUFFIXES = (".yaml", ".yml", ".json")

try:
    _Loader: Any = yaml.CSafeLoader
except AttributeError:  # PyYAML built without libyaml
    _Loader = yaml.SafeLoader


@dataclass
class Document:
    """What a file holds: its values, the place of each, and what is wrong that was seen so far."""

    name: str
    data: dict[str, Any]
    places: dict[str, str]
    """Path of a value as it was written -> `file:line:column`."""
    problems: list[Problem] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    """Path of a value -> the environment variables that it was made of, in words."""
    secrets: set[str] = field(default_factory=set)
    """Paths of values that were made of a secret."""

    def place(self, path: str) -> str:
        """Where the value at `path`, or what is around it, was written."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path.rpartition(".")[0]
        return self.name

    def origin(self, path: str) -> str:
        """Where the value at `path` comes from; a secret in it makes all of it one."""
        inside = (secret for secret in self.secrets if secret.startswith(f"{path}."))
        path = min(inside, default=path)
        above = path
        while above and above not in self.variables:  # an item given by its name alone
            above = above.rpartition(".")[0]
        said = self.variables.get(above)
        return self.place(path) if said is None else f"{said} in {self.place(path)}"


def read_file(path: str | Path, *, listed: bool = False) -> Document:
    """Return what a `.yaml`, `.yml` or `.json` file holds, and where.

    Args:
        path: the file.
        listed: take a list too; its items then stand under their numbers, from `"0"` on.

    Raises:
        ConfigError: if the file is missing, unreadable, of another kind, or not well formed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: a configuration file is called .yaml, .yml or .json")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*") if p.suffix in SUFFIXES)
        hint = f"configuration files there: {', '.join(near)}" if near else ""
        raise ConfigError(Problem("", "there is no such file", str(path), hint)) from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or no possible file name
        raise ConfigError(Problem("", f"cannot be read: {error}", str(path))) from error
    return read_text(text, str(path), is_json=path.suffix.lower() == ".json", listed=listed)


def read_text(text: str, name: str, *, is_json: bool = False, listed: bool = False) -> Document:
    """The same for a text; `name` stands for the file in places."""
    if not text.strip():
        raise ConfigError(Problem("", "the file is empty", name))
    places: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        if is_json:
            data = json.loads(text)
            json_places(text, name, places, problems)
        else:
            yaml_places(yaml.compose(text, Loader=_Loader), name, places, problems)
            data = yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}:{error.colno}"
        raise ConfigError(Problem("", f"this is not JSON: {error.msg}", place)) from None
    except yaml.YAMLError as error:
        raise ConfigError(_broken(error, name)) from None
    except RecursionError:
        raise ConfigError(Problem("", "it is nested too deeply", name)) from None
    except (ValueError, LookupError, AttributeError) as error:  # such as the date 2024-13-45
        raise ConfigError(Problem("", f"a value cannot be read: {error}", name)) from error
    if data is None:
        raise ConfigError(Problem("", "the file is empty", name))
    if listed and isinstance(data, list):
        data = dict(enumerate(data))
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise ConfigError(Problem("", f"expected keys with values, found a {kind}", f"{name}:1:1"))
    return Document(name, {str(key): value for key, value in data.items()}, places, problems)


def _broken(error: yaml.YAMLError, name: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
    what = getattr(error, "problem", None) or str(error)
    return Problem("", f"this is not YAML: {what}", place, "check indentation, colons and quotes")
