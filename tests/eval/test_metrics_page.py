"""The page of metrics has a section for each evaluator, which names its parameters."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.registry import PROVIDERS

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation" / "metrics.md").read_text()
SECTIONS = {
    part.partition("\n")[0].strip(): part
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
OURS = [entry for entry in plugins.get().evaluators if entry.owner.distribution == "aligntune-eval"]


def test_no_section_is_of_an_evaluator_that_is_not_there() -> None:
    assert len(OURS) > 20
    assert not SECTIONS.keys() - {entry.name for entry in OURS}


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: entry.name)
def test_an_evaluator_has_a_section(entry: Any) -> None:
    section = SECTIONS[entry.name]
    assert "Rows need | Range | Better | Parameters | Interval |" in section
    if "those of `" in section or "| as `" in section:
        return  # they stand in the section that it names
    named = {"self", "name", "params"}
    parameters = inspect.signature(entry.load()).parameters.keys() - named
    assert not {name for name in parameters if f"`{name}" not in section}


def test_without_this_distribution_its_evaluators_are_known_by_name() -> None:
    assert set(PROVIDERS["evaluator"]["aligntune-eval"]) == {entry.name for entry in OURS}
