"""Reads the blocks of pages, and what a block needs of the blocks before it.

The blocks of a page build on each other, and cannot share a process: one that trains through
Unsloth needs a fresh one. So each block becomes a script of its own, which begins with the
statements of the page that make the names it uses: the nearest import, function, class or
assignment before it. A name that the page uses and never makes is one of `listed.toml`, or one that
`aligntune` exports.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import os
import re
import symtable
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from snippets import Snippet, snippets

import aligntune

__all__ = [
    "Listed",
    "Page",
    "beginning",
    "digest",
    "files_for",
    "indented",
    "read_pages",
    "spec_folder",
]

ROOT = Path(__file__).parents[2]
RUNS = ("python", "yaml", "json", "bash")
# Drawings, and lists that are set as code.
SHOWS = ("mermaid", "")


def spec_folder() -> Path:
    """The folder of the pages.

    Raises:
        UsageError: if it is not there.
    """
    folder = Path(os.environ.get("ALIGNTUNE_SPEC") or ROOT.parent / "shared" / "spec")
    if not any(folder.glob("*.md")):
        message = f"no pages in {folder}; set ALIGNTUNE_SPEC to the folder of the documentation"
        raise pytest.UsageError(message)
    return folder


def digest(text: str) -> str:
    """What `listed.toml` knows a block by: it is of no use for another text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Listed:
    """What `listed.toml` says of a block."""

    page: str
    block: str
    why: str
    error: str | None = None
    """The block runs as written, and ends in an error of ours that says this."""
    indents: bool = False
    """The page lost indents of the block; with them it runs."""


@dataclass(frozen=True)
class Page:
    """The blocks of a page that run, in order, and what is listed for it."""

    blocks: tuple[Snippet, ...]
    listed: tuple[Listed, ...]
    given: dict[str, str]
    """Name -> the code that makes it, of names that the page leaves to its reader."""
    files: dict[str, str]
    """File -> its text, of files that the page leaves to its reader."""
    follows: dict[str, str]
    """Block -> the block whose files it reads, both by digest."""

    def said_of(self, block: Snippet) -> Listed | None:
        return next((one for one in self.listed if one.block == digest(block.text)), None)

    def runs(self, block: Snippet) -> bool:
        said = self.said_of(block)
        return said is None or said.error is not None or said.indents

    def text(self, block: Snippet) -> str:
        """The block as its author wrote it."""
        said = self.said_of(block)
        return indented(block) if said is not None and said.indents else block.text


def read_pages(folder: Path) -> list[Page]:
    """Every page of a folder, with what is listed for it."""
    listed = tomllib.loads((Path(__file__).parent / "listed.toml").read_text())
    pages = []
    for path in sorted(folder.glob("*.md")):
        more = listed.get("reader", {}).get(path.name, {})
        blocks = tuple(block for block in snippets(path) if block.language not in SHOWS)
        said = tuple(Listed(**one) for one in listed["block"] if one["page"] == path.name)
        given, files = more.get("names", {}), more.get("files", {})
        pages.append(Page(blocks, said, given, files, more.get("follows", {})))
    return pages


def _names_used(code: str) -> set[str]:
    """The names that code needs and does not make itself."""
    top = symtable.symtable(code, "block", "exec")
    made = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    used = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    inner = list(top.get_children())
    for table in inner:
        inner.extend(table.get_children())
        used |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global()}
    return used - made - set(dir(builtins))


def _names_made(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, ast.Assign):
        return {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return set()


@dataclass(frozen=True)
class _Statement:
    """A top-level statement of a page that makes names."""

    code: str
    made: frozenset[str]
    place: tuple[int, int]
    """Number of the block, and of the statement in it."""
    defines: bool
    """A class or function, which may stand behind its use on a page."""


def _statements(page: Page) -> Iterator[_Statement]:
    for number, block in enumerate(page.blocks):
        if block.language != "python" or not page.runs(block):
            continue
        for index, statement in enumerate(ast.parse(page.text(block)).body):
            code = ast.get_source_segment(page.text(block), statement) or ""
            defines = isinstance(statement, (ast.FunctionDef, ast.ClassDef))
            made = frozenset(_names_made(statement))
            yield _Statement(code, made, (number, index), defines)


class _Beginning:
    """Collects the statements that a block builds on, each behind those that it needs itself."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.statements = list(_statements(page))
        self.code: list[str] = []

    def add_for(self, text: str, place: tuple[int, int]) -> None:
        for name in sorted(_names_used(text)):
            found = self.making(name, place)
            if found is not None and found[0] not in self.code:
                self.add_for(*found)
                self.code.append(found[0])

    def making(self, name: str, place: tuple[int, int]) -> tuple[str, tuple[int, int]] | None:
        """The code that makes a name for code at a place, and where that stands."""
        every = [statement for statement in self.statements if name in statement.made]
        before = [statement for statement in every if statement.place < place]
        behind = [statement for statement in every if statement.defines]
        if before:
            return before[-1].code, before[-1].place
        if name in self.page.given:
            return self.page.given[name].strip(), place
        if behind:
            return behind[0].code, behind[0].place
        if name in dir(aligntune):
            return f"from aligntune import {name}", place
        return None


def beginning(page: Page, block: Snippet) -> str:
    """The code that a block of a page builds on."""
    made = _Beginning(page)
    followed = page.follows.get(digest(block.text))
    for number, earlier in enumerate(page.blocks):
        if digest(earlier.text) == followed:
            made.add_for(page.text(earlier), (number, 0))
            made.code.append(page.text(earlier))
    made.add_for(page.text(block), (page.blocks.index(block), 0))
    return "".join(f"{part}\n\n" for part in made.code)


def files_for(page: Page, block: Snippet) -> dict[str, str]:
    """The files that a block names and does not write: those of the page, and of its reader."""
    shown = {shown.file: page.text(shown) for shown in page.blocks}
    files = {**page.files, **shown}
    return {name: text for name, text in files.items() if name and name in block.text}


def indented(block: Snippet) -> str:
    """A block with the indents that it lost when every indent of its page became one space.

    In YAML, the keys in the column of a dash, behind it, belong to the item of the list. In Python,
    one line in the column of a statement that ends in a colon, behind it, is its body.
    """
    lines: list[str] = []
    column = None
    for line in block.text.splitlines():
        indent = len(line) - len(line.lstrip())
        dash = block.language == "yaml" and re.match(r" *- \w+:", line) is not None
        inside = line.strip() and indent == column and not dash
        lines.append(f"  {line}" if inside else line)
        if block.language == "python":
            column = indent if indent and line.endswith(":") else None
        elif line.strip() and not inside:
            column = indent if dash else None
    return "\n".join(lines) + "\n"
