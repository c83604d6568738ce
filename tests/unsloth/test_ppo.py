"""PPO through Unsloth: the numbers of plain TRL in a process that Unsloth did not patch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from beside_trl import both, common, comparable, prepared, resumes_exactly

COMPARED = ("loss", "policy_loss", "value_loss", "grad_norm", "entropy", "reward", "kl", "returns")
MARKS = """
def digits(text, **columns):
    return sum(character.isascii() and character.isalnum() for character in text) / 4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with prepared(tmp_path_factory.mktemp("ppo"), "ppo_marks", MARKS, spread=0.2) as folder:
        yield folder


def settings(folder: Path, backend: str, *, adapter: bool = False, **more: Any) -> dict[str, Any]:
    return {
        **common(folder, backend, adapter=adapter, reward="ppo_marks:digits"),
        "algorithm": "ppo",
        "batch_size": 3,
        "max_completion_length": 5,
        **more,
    }


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_unsloth_has_the_losses_of_plain_trl(folder: Path, adapter: bool) -> None:
    found, expected = both(settings, folder, COMPARED, adapter)
    for ours, theirs in comparable(found, expected, adapter):
        assert ours == pytest.approx(theirs, abs=1e-4, rel=1e-4)


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_run_through_unsloth_resumes_exactly(folder: Path, tmp_path: Path, adapter: bool) -> None:
    assert resumes_exactly(settings, folder, tmp_path, COMPARED, adapter=adapter)
