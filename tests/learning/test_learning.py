"""Every algorithm learns its task, and nothing where there is nothing to learn."""

from __future__ import annotations

from pathlib import Path

import pytest
from learning import Cell, tasks

from aligntune_trl.plugin import ALGORITHMS

TASKS = tasks()


def test_every_algorithm_has_a_task() -> None:
    assert set(TASKS) == {algorithm.name for algorithm in ALGORITHMS}


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("name", TASKS)
def test_what_there_is_to_learn_is_learned(name: str, adapter: bool, tmp_path: Path) -> None:
    task = TASKS[name]
    before, after = task.run(Cell(tmp_path, adapter=adapter))
    assert after - before >= task.gain
    assert not list(tmp_path.rglob("warnings.jsonl")), "a run that learns has nothing to be told"


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_the_control_learns_nothing(name: str, tmp_path: Path) -> None:
    task = TASKS[name]
    before, after = task.run(Cell(tmp_path, signal=False))
    assert after - before <= task.drift
