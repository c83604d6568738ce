"""Reads YAML and JSON files, keeping the line and column of every value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from aligntune.errors import ConfigError, Problem

__all__ = ["read_file", "read_text"]

try:
    _Loader: Any = yaml.CSafeLoader
except AttributeError:  # PyYAML built without libyaml
    _Loader = yaml.SafeLoader


def read_file(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a `.yaml`, `.yml` or `.json` file holds, and where: path of a value -> place.

    Raises:
        ConfigError: if the file is missing, unreadable, of another kind, or not well formed.
    """
    path = Path(path)
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise ConfigError(f"{path}: a configuration file is called .yaml, .yml or .json")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = sorted(
            p.name for p in path.parent.glob("*") if p.suffix in (".yaml", ".yml", ".json")
        )
        hint = f"configuration files there: {', '.join(near)}" if near else ""
        raise ConfigError(Problem("", "there is no such file", str(path), hint)) from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or no possible file name
        raise ConfigError(Problem("", f"cannot be read: {error}", str(path))) from error
    return read_text(text, str(path), is_json=path.suffix.lower() == ".json")


def read_text(
    text: str, name: str, *, is_json: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    """The same for a text; `name` stands for the file in places."""
    if not text.strip():
        raise ConfigError(Problem("", "the file is empty", name))
    try:
        node, data = _parsed_json(text) if is_json else _parsed_yaml(text)
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
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise ConfigError(Problem("", f"expected keys with values, found a {kind}", f"{name}:1:1"))
    places: dict[str, str] = {}
    _walk(node, "", name, places)
    return data, places


def _parsed_yaml(text: str) -> tuple[Any, Any]:
    node = yaml.compose(text, Loader=_Loader)
    if _contains_itself(node, set()):
        raise ValueError("an alias stands inside what it stands for")
    return node, yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)


# Half of a character beyond U+FFFF: JSON has these, and YAML does not.
_SURROGATE = re.compile(r"\\(?:u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL)


def _parsed_json(text: str) -> tuple[Any, Any]:
    """Read JSON; positions come from the YAML parser, where it can read the text too."""
    data = json.loads(text)
    # A tab is white space in JSON and an error in YAML.
    alike = text.replace("\t", " ")
    alike = _SURROGATE.sub(lambda found: found[0] if len(found[0]) == 2 else "??????", alike)
    try:
        return yaml.compose(alike, Loader=_Loader), data
    except yaml.YAMLError:
        return None, data


def _contains_itself(node: Any, around: set[int]) -> bool:
    if isinstance(node, yaml.ScalarNode) or node is None:
        return False
    if id(node) in around:
        return True
    below = node.value
    if isinstance(node, yaml.MappingNode):
        below = [part for pair in node.value for part in pair]
    return any(_contains_itself(part, around | {id(node)}) for part in below)


def _broken(error: yaml.YAMLError, name: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
    what = getattr(error, "problem", None) or str(error)
    return Problem("", f"this is not YAML: {what}", place, "check indentation, colons and quotes")


def _walk(node: Any, path: str, name: str, places: dict[str, str]) -> None:
    """Note the place of every value below a node, and refuse a key that stands there twice."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, Any] = {}
        for key, value in node.value:
            written = str(key.value)
            place = f"{name}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
            if written in seen and written != "<<":
                first = seen[written].start_mark.line + 1
                problem = f"the key stands here a second time; the first is in line {first}"
                raise ConfigError(Problem(f"{path}{written}", problem, place, "keep one of them"))
            seen[written] = key
            places[f"{path}{written}"] = place
            _walk(value, f"{path}{written}.", name, places)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            mark = value.start_mark
            places[f"{path}{index}"] = f"{name}:{mark.line + 1}:{mark.column + 1}"
            _walk(value, f"{path}{index}.", name, places)
