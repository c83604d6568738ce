"""The pages about adding something, followed to the letter in an empty folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from snippets import Reader, snippets

PAGES = Path(__file__).parents[2] / "docs" / "contributing"


def follow(page: str, folder: Path, environment: dict[str, str]) -> None:
    reader = Reader(folder, environment)
    for snippet in snippets(PAGES / page):
        reader.follow(snippet)


def status(folder: Path) -> str:
    return str(json.loads((folder / "run" / "run.json").read_text())["status"])


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_adding_a_reward(tmp_path: Path, environment: dict[str, str]) -> None:
    follow("adding-a-reward.md", tmp_path, environment)
    assert status(tmp_path) == "finished"
    samples = lines(tmp_path / "run" / "samples.jsonl")
    assert {tuple(sample["rewards"]) for sample in samples} == {("digits",)}


def test_adding_an_evaluator(tmp_path: Path, environment: dict[str, str]) -> None:
    follow("adding-an-evaluator.md", tmp_path, environment)
    measured = lines(tmp_path / "run" / "evaluation.jsonl")
    assert {line["when"] for line in measured} == {"before", "during", "after"}
    assert {line["name"] for line in measured} == {"numeric"}


def test_adding_an_algorithm(tmp_path: Path, environment: dict[str, str]) -> None:
    follow("adding-an-algorithm.md", tmp_path, environment)
    assert status(tmp_path) == "finished"
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["algorithm"] == "filtered-sft"


def test_adding_a_backend(tmp_path: Path, environment: dict[str, str]) -> None:
    follow("adding-a-backend.md", tmp_path, environment)
    assert status(tmp_path) == "finished"
    trained = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert trained["intermediate_size"] == 96


@pytest.mark.parametrize("page", sorted(path.name for path in PAGES.glob("*.md")))
def test_every_page_is_followed(page: str) -> None:
    assert f"test_{page.removesuffix('.md').replace('-', '_')}" in globals()
