"""The loss of reward modelling against its formula, computed in float64 by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aligntune import create_rl_trainer
from aligntune.testing import make_model, preference_rows, write_jsonl

MARGINS = (0.0, 0.5, 2.0, -0.25)


def bradley_terry(
    chosen: np.ndarray[Any, Any],
    rejected: np.ndarray[Any, Any],
    margin: np.ndarray[Any, Any] | float = 0.0,
    centering: float = 0.0,
) -> float:
    """-log sigmoid(r+ - r- - margin) + c (r+ + r-)^2, the mean over pairs."""
    difference = chosen - rejected - margin
    return float(np.mean(np.log1p(np.exp(-difference)) + centering * (chosen + rejected) ** 2))


def test_the_oracle_on_numbers_made_by_hand() -> None:
    chosen, rejected = np.array([2.0, 0.0]), np.array([1.0, 3.0])
    first, second = math.log(1 + math.exp(-1)), math.log(1 + math.exp(3))
    assert bradley_terry(chosen, rejected) == pytest.approx((first + second) / 2, abs=1e-12)
    assert bradley_terry(chosen, rejected, centering=0.1) == pytest.approx(
        (first + second) / 2 + 0.1 * 9, abs=1e-12
    )
    equal = bradley_terry(np.array([1.0]), np.array([0.0]), np.array([1.0]))
    assert equal == pytest.approx(math.log(2), abs=1e-12)


@pytest.mark.parametrize("margin", [False, True], ids=["plain", "margin"])
@pytest.mark.parametrize("centering", [None, 0.3])
def test_the_loss_is_that_of_the_formula(
    tmp_path: Path, margin: bool, centering: float | None
) -> None:
    rows = preference_rows(len(MARGINS))
    if margin:
        rows = [{**row, "margin": m} for row, m in zip(rows, MARGINS, strict=True)]
    make_model(tmp_path / "model", initializer_range=0.3)
    trainer: Any = create_rl_trainer(
        algorithm="reward_modeling",
        backend="trl",
        model_name=str(make_model(tmp_path / "model", initializer_range=0.3)),
        dataset_name=str(write_jsonl(tmp_path / "rows.jsonl", rows)),
        output_dir=str(tmp_path / "run"),
        center_rewards_coefficient=centering,
        peft_enabled=False,
        precision="fp32",
        loggers="none",
    ).setup()
    model = trainer.model.double()
    tokenized = list(trainer.train_dataset)

    def rewards(name: str) -> np.ndarray[Any, Any]:  # one by one, so that nothing is padded
        with torch.no_grad():
            said = [model(input_ids=torch.tensor([row[name]])).logits.item() for row in tokenized]
        return np.array(said)

    given = np.array(MARGINS) if margin else 0.0
    expected = bradley_terry(
        rewards("chosen_ids"), rewards("rejected_ids"), given, centering or 0.0
    )
    loss = trainer.compute_loss(model, trainer.data_collator(tokenized))
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    plain = bradley_terry(rewards("chosen_ids"), rewards("rejected_ids"))
    assert (abs(plain - expected) > 1e-3) == (margin or centering is not None)
