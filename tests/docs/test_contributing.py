"""The pages about adding something, followed to the letter in an empty folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from snippets import Reader, environment_for, snippets

PAGES = sorted((Path(__file__).parents[2] / "docs" / "contributing").glob("*.md"))

Followed = Callable[[str], Path]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, warm: Path) -> Iterator[Followed]:
    """`followed(page)` returns the folder in which a page was followed.

    What takes time are commands, in processes of their own, so two pages are followed at once.
    """

    def follow(page: Path, folder: Path, site: Path) -> Path:
        reader = Reader(folder, environment_for(site, warm))
        for snippet in snippets(page):
            reader.follow(snippet)
        return folder

    with ThreadPoolExecutor(2) as pool:
        futures = {
            page.name: pool.submit(
                follow, page, tmp_path_factory.mktemp("page"), tmp_path_factory.mktemp("site")
            )
            for page in PAGES
        }
        yield lambda page: futures[page].result()


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_adding_a_backend(followed: Followed) -> None:
    run = followed("adding-a-backend.md") / "run"
    assert read(run / "run.json")["status"] == "finished"
    assert read(run / "plan.json")["backend"] == "scratch"
    assert read(run / "model" / "config.json")["intermediate_size"] == 96


def test_adding_a_reward(followed: Followed) -> None:
    run = followed("adding-a-reward.md") / "run"
    assert read(run / "run.json")["status"] == "finished"
    assert {tuple(s["rewards"]) for s in lines(run / "samples.jsonl")} == {("digits",)}


def test_adding_an_algorithm(followed: Followed) -> None:
    run = followed("adding-an-algorithm.md") / "run"
    assert read(run / "run.json")["status"] == "finished"
    assert read(run / "plan.json")["algorithm"] == "filtered-sft"


def test_adding_an_evaluator(followed: Followed) -> None:
    run = followed("adding-an-evaluator.md") / "run"
    assert read(run / "run.json")["status"] == "finished"
    measured = lines(run / "evaluation.jsonl")
    assert {line["when"] for line in measured} == {"before", "during", "after"}
    assert {line["name"] for line in measured} == {"numeric"}


@pytest.mark.parametrize("page", [page.stem for page in PAGES])
def test_every_page_has_its_test(page: str) -> None:
    assert f"test_{page.replace('-', '_')}" in globals()
