"""The examples of the pages on rewards are right, and every reward has its section."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from snippets import Reader, environment_for, snippets

import aligntune.plugins

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "rewards").glob("*.md"))
# What the table of each reward says, and at least these rows.
ROWS = ("Range", "Columns", "Parameters", "Speed", "Does not see")


def sections() -> dict[str, str]:
    """The section of each reward, by its name."""
    found: dict[str, str] = {}
    for page in PAGES:
        parts = re.split(r"^## (\w+)\n", page.read_text(), flags=re.MULTILINE)[1:]
        found |= dict(zip(parts[::2], parts[1::2], strict=True))
    return found


def built_in() -> list[str]:
    rewards = aligntune.plugins.get().rewards
    return sorted(e.name for e in rewards if e.owner.distribution == "aligntune-rewards")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_is_right(page: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    base = {"model_name": "tiny", "dataset_name": "sums.jsonl", "algorithm": "grpo"}
    reader = Reader(tmp_path / "here", environment_for(tmp_path / "site"), base)
    try:
        for snippet in snippets(page):
            reader.follow(snippet)
    finally:
        aligntune.plugins.configure()  # forgets what the page registers


def test_every_built_in_reward_has_a_section() -> None:
    assert [name for name in built_in() if name not in sections()] == []


@pytest.mark.parametrize("name", built_in())
def test_a_section_says_everything_about_its_reward(name: str) -> None:
    section = sections()[name]
    assert [row for row in ROWS if f"| {row} |" not in section] == []
    assert section.count(">>> ") >= 2, "two examples with their scores"
