"""The examples of the pages on rewards are right, and every reward has its section."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import aligntune.plugins

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "rewards.md", *sorted((DOCS / "rewards").glob("*.md"))]
# What the table of each reward says, and at least these rows.
ROWS = ("Range", "Columns", "Parameters", "Speed", "Does not see")


def sections() -> dict[str, str]:
    """The section of each reward, by its name."""
    found: dict[str, str] = {}
    for page in PAGES[1:]:
        parts = re.split(r"^## (\w+)\n", page.read_text(), flags=re.MULTILINE)[1:]
        found |= dict(zip(parts[::2], parts[1::2], strict=True))
    return found


def built_in() -> list[str]:
    rewards = aligntune.plugins.get().rewards
    return sorted(e.name for e in rewards if e.owner.distribution == "aligntune-rewards")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_are_right(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fences would be read as expected output.
    text = page.read_text().replace("```python\n>>>", "\n>>>").replace("```\n", "\n")
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    runner = doctest.DocTestRunner()
    try:
        runner.run(test)
    finally:
        aligntune.plugins.configure()  # forgets the reward that the page registers
    assert runner.failures == 0


def test_every_built_in_reward_has_a_section() -> None:
    assert [name for name in built_in() if name not in sections()] == []


@pytest.mark.parametrize("name", built_in())
def test_a_section_says_everything_about_its_reward(name: str) -> None:
    section = sections()[name]
    assert [row for row in ROWS if f"| {row} |" not in section] == []
    assert section.count(">>> ") >= 2, "two examples with their scores"
