"""The program in a completion: what stands in its fenced code blocks.

A fence is read as CommonMark reads it: three or more backticks or tildes, closed by as many of the
same, or by the end of the text; it may be indented, as in a list. What is found is plain text;
nothing here runs or parses it.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

__all__ = ["LONGEST", "PYTHON", "SQL", "Which", "check_which", "code_of"]

Which = Literal["last", "first", "all"]

PYTHON = frozenset({"", "python", "py", "python3", "py3"})
SQL = frozenset({"", "sql", "sqlite", "sqlite3"})

# No answer to a question is that long, and parsers take seconds for a megabyte.
LONGEST = 100_000

_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})(?P<info>[^\n]*)")


def check_which(block: object) -> Which:
    """The value of the parameter `block`.

    Raises:
        ValueError: if it is none of those there are.
    """
    for each in get_args(Which):
        if block == each:
            known: Which = each
            return known
    raise ValueError(f"block is {block!r}; it is one of {', '.join(get_args(Which))}")


def code_of(text: str, which: Which = "last", languages: frozenset[str] = PYTHON) -> str | None:
    """The code of a completion.

    Of its fenced blocks in one of the languages, that is the last, the first, or all one below the
    other; a text without any fence is code itself.

    `languages`: lower-case names that may follow the fence; `""` is a fence without a name.
    None if there is no such block, or nothing in it.
    """
    blocks = _blocks(text)
    if blocks is None:
        return text if text.strip() else None
    found = [code for language, code in blocks if language in languages and code.strip()]
    if not found:
        return None
    return "\n".join(found) if which == "all" else found[-1 if which == "last" else 0]


def _blocks(text: str) -> list[tuple[str, str]] | None:
    """The fenced blocks, each with its language in lower case; None for a text without a fence."""
    blocks: list[tuple[str, str]] = []
    inside: list[str] | None = None
    language, marks, indent = "", "", 0
    for line in text.replace("\r\n", "\n").split("\n"):
        fence = _FENCE.match(line)
        if inside is None:
            # A backtick in the rest of the line makes it inline code.
            if fence and not (fence["marks"][0] == "`" and "`" in fence["info"]):
                inside, marks, indent = [], fence["marks"], len(fence["indent"])
                language = (fence["info"].split() or [""])[0].strip("{}.").lower()
        elif (
            fence
            and not fence["info"].strip()
            and fence["marks"][0] == marks[0]
            and len(fence["marks"]) >= len(marks)
            and len(fence["indent"]) <= indent + 3  # one in a docstring closes nothing
        ):
            blocks.append((language, "\n".join(inside)))
            inside = None
        else:
            before = len(line) - len(line.lstrip(" \t"))
            inside.append(line[min(before, indent) :])
    if inside is not None:
        blocks.append((language, "\n".join(inside)))
    return blocks or None
