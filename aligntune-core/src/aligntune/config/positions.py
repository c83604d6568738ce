"""Line and column of every key and item of a YAML or JSON text, which the parsers do not keep.

YAML is walked as the nodes that its parser composes. JSON that was parsed already is walked as
tokens: the YAML parser reads most of JSON, but not all of it.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from aligntune.errors import Problem

__all__ = ["json_places", "yaml_places"]

# A configuration is far below both. Aliases of YAML are counted where they are used, so that a
# few lines cannot stand for billions of values.
MOST_VALUES = 100_000
DEEPEST = 100

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')

Token = tuple[str, int]


class _Notes:
    """Takes down places, and the keys that stand twice in one mapping."""

    def __init__(self, name: str, places: dict[str, str], problems: list[Problem]) -> None:
        self.name, self.places, self.problems = name, places, problems
        self.count = 0

    def add(self, path: str, line: int, column: int, seen: dict[str, int] | None = None) -> None:
        place = f"{self.name}:{line}:{column}"
        self.count += 1
        if self.count > MOST_VALUES:
            raise ValueError(f"there are more than {MOST_VALUES}")
        if path.count(".") > DEEPEST:
            raise RecursionError
        if seen is not None:
            if path in seen:
                what = f"the key stands here a second time; the first is in line {seen[path]}"
                self.problems.append(Problem(path, what, place, "keep one of them"))
            seen[path] = line
        self.places[path] = place


def yaml_places(node: Any, name: str, places: dict[str, str], problems: list[Problem]) -> None:
    """Fill `places` (path -> place) and `problems` (keys that stand twice) for composed YAML.

    Raises:
        ValueError: for an alias inside what it stands for, or too many values.
        RecursionError: if it is nested too deeply.
    """
    _yaml(node, "", _Notes(name, places, problems), frozenset())


def _yaml(node: Any, path: str, notes: _Notes, around: frozenset[int]) -> None:
    if id(node) in around:
        raise ValueError("an alias stands inside what it stands for")
    around |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            below, mark = f"{path}{key.value}", key.start_mark
            merged = key.value == "<<"
            notes.add(below, mark.line + 1, mark.column + 1, None if merged else seen)
            _yaml(key, f"{below}.", notes, around)
            _yaml(value, f"{below}.", notes, around)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            mark = value.start_mark
            notes.add(f"{path}{index}", mark.line + 1, mark.column + 1)
            _yaml(value, f"{path}{index}.", notes, around)


def json_places(text: str, name: str, places: dict[str, str], problems: list[Problem]) -> None:
    """The same for a JSON text, which must be well formed.

    Raises:
        ValueError: for too many values.
        RecursionError: if it is nested too deeply.
    """
    starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(offset: int) -> tuple[int, int]:
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    tokens = ((found[0], found.start()) for found in _TOKEN.finditer(text))
    _json(next(tokens), "", tokens, _Notes(name, places, problems), place)


def _json(
    first: Token,
    path: str,
    tokens: Iterator[Token],
    notes: _Notes,
    place: Callable[[int], tuple[int, int]],
) -> None:
    """Walk the value that begins with the token `first`."""
    if first[0] == "{":
        seen: dict[str, int] = {}
        for token in tokens:
            if token[0] == "}":
                return
            if token[0] == ",":
                continue
            below = f"{path}{json.loads(token[0])}"
            notes.add(below, *place(token[1]), seen)
            next(tokens)  # the colon
            _json(next(tokens), f"{below}.", tokens, notes, place)
    elif first[0] == "[":
        index = 0
        for token in tokens:
            if token[0] == "]":
                return
            if token[0] == ",":
                continue
            notes.add(f"{path}{index}", *place(token[1]))
            _json(token, f"{path}{index}.", tokens, notes, place)
            index += 1
