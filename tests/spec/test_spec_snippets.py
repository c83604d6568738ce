"""Every snippet of the documentation runs as written, but for those of `listed.toml`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from reading import (
    RUNS,
    Page,
    beginning,
    digest,
    files_for,
    read_pages,
    spec_folder,
)

if TYPE_CHECKING:
    from snippets import Snippet

Run = Callable[..., subprocess.CompletedProcess[str]]

OURS = re.compile(r"^aligntune\.errors\.\w+: (.*)", re.MULTILINE | re.DOTALL)
PAGES = read_pages(spec_folder())
BLOCKS = [(page, block) for page in PAGES for block in page.blocks if page.runs(block)]


def names(language: str) -> list[object]:
    return [
        pytest.param(page, block, id=str(block))
        for page, block in BLOCKS
        if block.language == language
    ]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def check(page: Page, block: Snippet, done: subprocess.CompletedProcess[str], said: str) -> None:
    """Fail unless a block ended as it should; `said` is the error of ours that it ended in."""
    listed = page.said_of(block)
    tail = done.stdout[-6000:]
    if listed is None or listed.error is None:
        assert done.returncode == 0, f"{block} [{digest(block.text)}]\n{tail}"
        return
    assert done.returncode != 0, f"{block} is listed to end in an error and did not\n{tail}"
    assert listed.error in said, f"{block}\n{tail}"


@pytest.mark.parametrize(("page", "block"), names("python"))
def test_python(page: Page, block: Snippet, run: Run, tmp_path: Path) -> None:
    write(tmp_path, files_for(page, block))
    script = f"{beginning(page, block)}# {block}\n{page.text(block)}\n"
    (tmp_path / "snippet.py").write_text(script, encoding="utf-8")
    done = run(sys.executable, "snippet.py")
    ours = OURS.search(done.stdout)
    check(page, block, done, ours[1] if ours else "")


@pytest.mark.parametrize(("page", "block"), names("bash"))
def test_shell(page: Page, block: Snippet, run: Run, tmp_path: Path) -> None:
    write(tmp_path, files_for(page, block))
    done = run("bash", "-euo", "pipefail", "-c", block.text)
    check(page, block, done, done.stdout.partition("error: ")[2])


@pytest.mark.parametrize(("page", "block"), names("yaml") + names("json"))
def test_configuration(page: Page, block: Snippet, run: Run, tmp_path: Path) -> None:
    assert block.file, f"{block} is a configuration without a file"
    write(tmp_path, {block.file: block.text})
    done = run("aligntune", "validate", block.file)
    check(page, block, done, done.stdout.partition("error: ")[2])
    if page.text(block) != block.text:
        write(tmp_path, {block.file: page.text(block)})
        done = run("aligntune", "validate", block.file)
        assert done.returncode == 0, done.stdout


def test_blocks_are_of_languages_that_are_known() -> None:
    assert {block.language for page in PAGES for block in page.blocks} <= set(RUNS)


def test_every_entry_of_the_list_is_a_block() -> None:
    here = {(block.page, digest(block.text)) for page in PAGES for block in page.blocks}
    listed = [(one.page, one.block) for page in PAGES for one in page.listed]
    assert set(listed) <= here
    assert len(set(listed)) == len(listed)


def test_the_list_says_nothing_of_other_pages() -> None:
    listed = tomllib.loads((Path(__file__).parent / "listed.toml").read_text())
    pages = {path.name for path in spec_folder().glob("*.md")}
    assert {one["page"] for one in listed["block"]} | set(listed["reader"]) <= pages


def test_what_is_left_to_the_reader_is_used() -> None:
    for page in PAGES:
        here = {digest(block.text) for block in page.blocks}
        assert {*page.follows, *page.follows.values()} <= here
        scripts = "".join(
            beginning(page, block)
            for block in page.blocks
            if block.language == "python" and page.runs(block)
        )
        assert all(code.strip() in scripts for code in page.given.values())
        named = {name for block in page.blocks for name in files_for(page, block)}
        assert set(page.files) <= named
