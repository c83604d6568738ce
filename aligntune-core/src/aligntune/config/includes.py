"""Files that build on others: `base: other.yaml`, or a list, at the top level of a file.

A base is read before the file that names it, so the nearer file wins, value by value; of several,
the later. Each value keeps the place where it stands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aligntune.config.environment import interpolate
from aligntune.config.sources import Document, read_file
from aligntune.errors import ConfigError, Problem

__all__ = ["read_documents"]

KEY = "base"


def read_documents(path: str | Path) -> list[Document]:
    """Read a file and everything it builds on, in the order in which they override each other.

    Environment variables are put in. A file that two others build on is read once.

    Raises:
        ConfigError: if a file cannot be read, or builds on itself.
    """
    found: list[Document] = []
    _read(Path(path), (), set(), found)
    return found


def _read(path: Path, chain: tuple[Path, ...], done: set[Path], found: list[Document]) -> None:
    document = interpolate(read_file(path))
    here = path.resolve()
    for name in _named(document.data.pop(KEY, None), document):
        base = path.parent / name
        where = document.place(KEY)
        if base.resolve() in (*chain, here):
            raise ConfigError(Problem(KEY, f"{base} builds on itself", where))
        if base.resolve() in done:
            continue
        try:
            _read(base, (*chain, here), done, found)
        except ConfigError as error:
            raise ConfigError([_said_by(p, base, where) for p in error.problems]) from None
    done.add(here)
    found.append(document)


def _named(value: Any, document: Document) -> list[str]:
    names = [value] if isinstance(value, str) else value or []
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    what = "expected the name of a file, or a list of them, relative to this one"
    document.problems.append(Problem(KEY, what, document.place(KEY)))
    return []


def _said_by(problem: Problem, base: Path, where: str) -> Problem:
    """A file that is not there is a mistake of the one that names it."""
    if problem.where != str(base):
        return problem
    return Problem(KEY, f"{base}: {problem.message}", where, problem.hint)
