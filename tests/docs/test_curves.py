"""Every page of an algorithm shows how a healthy run goes beside a control, and says it too."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from curves import CURVES, PICTURES, image
from drawing import Panel, draw, ticks

PAGES = sorted(CURVES.parent.glob("*.md"))


def test_every_page_has_a_picture() -> None:
    assert {page.stem for page in PAGES} == set(PICTURES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_says_the_numbers_of_its_picture(page: Path) -> None:
    picture = (CURVES / f"{page.stem}.svg").read_text()
    assert image(page.stem, picture) in page.read_text(), "tests/learning/curves.py writes both"
    assert len(picture) < 20_000
    titles = re.findall(r'"600">([^<,]*)', picture)
    assert titles == list(PICTURES[page.stem].metrics) * (len(PICTURES[page.stem].tasks) or 1)


def test_a_line_goes_from_its_first_point_to_its_last() -> None:
    panel = Panel("kl", "step", [(0, 0.0), (10, 1.0)], [(0, 0.5), (10, 0.5)])
    root = ET.fromstring(draw("one & two", "a < b", [panel]))
    assert [root[0].text, root[1].text] == ["one & two", "a < b"]
    lines = {}
    for element in root.iter():
        if (element.get("class") or "").startswith("line"):
            lines.setdefault(element.get("class"), element.get("d"))
    assert lines == {
        "line signal": "M46.0 154.0L236.0 30.0",
        "line control": "M46.0 92.0L236.0 92.0",
    }


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.04, 0.98, [0.0, 0.5, 1.0]),
        (3, 60, [0, 20, 40, 60]),
        (-0.3, 0.5, [-0.4, -0.2, 0.0, 0.2, 0.4, 0.6]),
        (2.0, 2.0, [2.0, 2.5]),
        (0.0, 0.0, [0.0, 0.5]),
    ],
)
def test_ticks_are_round_numbers_around_the_values(
    low: float, high: float, expected: list[float]
) -> None:
    assert ticks(low, high) == expected
