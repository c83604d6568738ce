"""Reads the rows of the tables of parameters: whose they are, and the default that they promise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["OPEN", "REQUIRED", "Row", "read_rows"]

_ROW = re.compile(r"^\| (?P<names>`[^|]*`) \| (?P<type>[^|]*) \| (?P<default>[^|]*) \|")
_HEADING = re.compile(r"^(?P<level>#+) (?P<text>.*)")
_CLASS = re.compile(r"\b[A-Z]\w*Config\b")


class _Word:
    """What stands in the column of the default, and is no value."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __repr__(self) -> str:
        return self.word


REQUIRED = _Word("required")
OPEN = _Word("see elsewhere")


@dataclass(frozen=True, eq=False)
class Row:
    """One row: names of a parameter of a class, or of an algorithm where no class is named."""

    page: str
    line: int
    kind: str
    """`"sft"` or `"rl"`."""
    owner: str
    """The class, or the heading of the algorithm."""
    names: tuple[str, ...]
    default: Any

    @property
    def of_class(self) -> bool:
        return _CLASS.fullmatch(self.owner) is not None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}-{self.kind}-{self.owner}.{self.names[0]}"


def _default(text: str) -> Any:
    text = text.strip().replace("*", "").strip("`")
    if text == "Required":
        return REQUIRED
    if text in ("See above", "batch_size"):
        return OPEN
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text.lower()  # a member of an enumeration


def read_rows(path: Path) -> Iterator[Row]:
    """Every row of a page that stands in a table of parameters with defaults."""
    kind, owner = "rl", ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        heading = _HEADING.match(line)
        if heading is not None:
            text = heading["text"].replace("*", "").replace("`", "")
            named = _CLASS.search(text)
            owner = named[0] if named is not None else text
            if len(heading["level"]) == 2:
                kind = "sft" if text.startswith("SFT") else "rl"
        elif (row := _ROW.match(line)) is not None:
            names = tuple(re.findall(r"`([^`]+)`", row["names"]))
            yield Row(path.name, number, kind, owner, names, _default(row["default"]))
