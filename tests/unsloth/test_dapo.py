"""DAPO through Unsloth: the numbers of plain TRL in a process that Unsloth did not patch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from beside_trl import both, common, comparable, prepared, resumes_exactly

COMPARED = (
    "loss",
    "grad_norm",
    "entropy",
    "reward",
    "reward_std",
    "clip_ratio/high_mean",
    "dynamic_sampling/",
)
MARKS = """
def two_digits(text, **columns):
    return float(sum(character.isascii() and character.isdigit() for character in text) >= 2)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with prepared(tmp_path_factory.mktemp("dapo"), "dapo_marks", MARKS, spread=0.1) as folder:
        yield folder


def settings(folder: Path, backend: str, *, adapter: bool = False, **more: Any) -> dict[str, Any]:
    return {
        **common(folder, backend, adapter=adapter, reward="dapo_marks:two_digits"),
        "algorithm": "dapo",
        "batch_size": 8,
        "num_generations": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_completion_length": 20,
        "mask_truncated_completions": False,
        **more,
    }


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_unsloth_has_the_losses_of_plain_trl(folder: Path, adapter: bool) -> None:
    found, expected = both(settings, folder, COMPARED, adapter)
    assert any(line.get("dynamic_sampling/rounds", 0) > 0 for line in expected)
    for ours, theirs in comparable(found, expected, adapter):
        assert {"loss", "grad_norm"} <= set(ours)
        same = {name: theirs[name] for name in ours}
        assert ours == pytest.approx(same, abs=1e-4, rel=1e-4)


def test_a_run_through_unsloth_resumes_exactly(folder: Path, tmp_path: Path) -> None:
    assert resumes_exactly(settings, folder, tmp_path, COMPARED)
