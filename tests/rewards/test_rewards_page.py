"""The examples of docs/rewards.md give what the page says."""

from __future__ import annotations

import doctest
from pathlib import Path

import aligntune.plugins

PAGE = Path(__file__).parents[2] / "docs" / "rewards.md"


def test_the_examples_are_right() -> None:
    # Fences would be read as expected output.
    text = PAGE.read_text().replace("```python\n>>>", "\n>>>").replace("```\n", "\n")
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    runner = doctest.DocTestRunner()
    try:
        runner.run(test)
    finally:
        aligntune.plugins.configure()  # forgets the reward that the page registers
    assert len(test.examples) > 20
    assert runner.failures == 0


def test_every_built_in_reward_has_a_section() -> None:
    page = PAGE.read_text()
    registered = aligntune.plugins.get().rewards
    ours = [entry.name for entry in registered if entry.owner.distribution == "aligntune-rewards"]
    assert "math_accuracy" in ours
    assert not [name for name in ours if f"\n### {name}\n" not in page]
