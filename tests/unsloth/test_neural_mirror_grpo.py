"""Neural Mirror GRPO through Unsloth: the numbers of plain TRL, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from beside_trl import both, common, comparable, logged, prepared, resumes_exactly

from aligntune import create_rl_trainer

COMPARED = (
    "loss",
    "policy_loss",
    "mirror_loss",
    "divergence",
    "kl",
    "grad_norm",
    "entropy",
    "reward",
)
MARKS = """
def digits(text, **columns):
    return sum(character.isascii() and character.isalnum() for character in text) / 4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with prepared(tmp_path_factory.mktemp("mirror"), "mirror_marks", MARKS, spread=0.2) as folder:
        yield folder


def settings(folder: Path, backend: str, *, adapter: bool = False, **more: Any) -> dict[str, Any]:
    return {
        **common(folder, backend, adapter=adapter, reward="mirror_marks:digits"),
        "algorithm": "neural_mirror_grpo",
        "batch_size": 4,
        "num_generations": 4,
        "mirror_coef": 0.5,
        "max_completion_length": 5,
        **more,
    }


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_unsloth_has_the_losses_of_plain_trl(folder: Path, adapter: bool) -> None:
    found, expected = both(settings, folder, COMPARED, adapter)
    assert expected[3]["mirror_loss"] > 1e-5
    for ours, theirs in comparable(found, expected, adapter):
        assert set(ours) == set(theirs)
        assert ours == pytest.approx(theirs, abs=1e-5, rel=1e-4)


def test_the_adapter_is_taken_off_for_the_reference(folder: Path, tmp_path: Path) -> None:
    more = {"output_dir": str(tmp_path / "run"), "learning_rate": 1e-2}
    run = create_rl_trainer(**settings(folder, "unsloth", adapter=True, **more)).train()
    lines = logged(run.metrics, COMPARED)
    assert lines[0]["divergence"] == pytest.approx(0, abs=1e-9)
    assert lines[3]["divergence"] > 1e-4


def test_accumulated_batches_are_one_update(folder: Path, tmp_path: Path) -> None:
    found = []
    for size, passes in ((8, 1), (4, 2)):
        more = {"output_dir": str(tmp_path / str(size)), "batch_size": size}
        given = settings(folder, "unsloth", **more, gradient_accumulation_steps=passes)
        found.append(logged(create_rl_trainer(**given).train().metrics, COMPARED))
    for whole, parts in zip(*found, strict=True):
        for name in ("loss", "grad_norm", "mirror_loss"):
            assert parts[name] == pytest.approx(whole[name], abs=1e-5, rel=1e-4), name


def test_a_run_through_unsloth_resumes_exactly(folder: Path, tmp_path: Path) -> None:
    assert resumes_exactly(settings, folder, tmp_path, COMPARED)
