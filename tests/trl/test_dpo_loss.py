"""The losses of DPO against their formulas, in float64, on log-probabilities of two real models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from aligntune import create_rl_trainer
from aligntune.config import TrainingConfig
from aligntune.testing import make_model, preference_rows, write_jsonl
from aligntune_trl.dpo.loss import loss_names, weighed

BETA = 0.3
PAIRS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loss")
    make_model(folder / "model", initializer_range=0.2)
    rows = preference_rows(PAIRS)
    for row in rows[::2]:  # completions of different lengths
        row["chosen"] += " is the sum"
    write_jsonl(folder / "rows.jsonl", rows)
    return folder


def moved(folder: Path, output: Path, **settings: Any) -> Any:
    """The TRL trainer of a run, with a policy that is no longer the reference."""
    ours: Any = create_rl_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / "rows.jsonl"),
        algorithm="dpo",
        backend="trl",
        output_dir=str(output),
        max_steps=1,
        precision="fp32",
        loggers="none",
        peft_enabled=False,
        max_seq_length=64,
        beta=BETA,
        **settings,
    )
    trainer = ours.setup()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.3)
    trainer.model.eval()
    return trainer


def of_tokens(model: Any, batch: dict[str, Any]) -> list[list[float]]:
    """Log-probability of each token of each completion, in float64."""
    found: list[list[float]] = []
    for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True):
        length = int(batch["attention_mask"][len(found)].sum())
        with torch.no_grad():
            logits = model(input_ids=ids[None, :length]).logits[0].log_softmax(-1)
        places = [i for i in range(1, length) if mask[i]]
        found.append([float(logits[i - 1, ids[i]]) for i in places])
    return found


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def surprise(x: float) -> float:
    return -math.log(sigmoid(x))


def measured(folder: Path, output: Path, **settings: Any) -> tuple[float, list[tuple[Any, ...]]]:
    """The loss of a batch of all pairs, and the log-probabilities by which to check it.

    Each pair is (policy chosen, policy rejected, reference chosen, reference rejected), by token.
    """
    trainer = moved(folder, output, **settings)
    rows = [trainer.train_dataset[i] for i in range(PAIRS)]
    batch = trainer.data_collator(rows)
    with torch.no_grad():
        loss = float(trainer.compute_loss(trainer.model, batch))
    reference = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    policy = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    policy.load_state_dict(trainer.model.state_dict())
    of_policy, of_reference = of_tokens(policy, batch), of_tokens(reference, batch)
    pairs = [
        (of_policy[i], of_policy[PAIRS + i], of_reference[i], of_reference[PAIRS + i])
        for i in range(PAIRS)
    ]
    return loss, pairs


def ratios(pair: tuple[Any, ...]) -> tuple[float, float]:
    chosen, rejected, reference_chosen, reference_rejected = (sum(part) for part in pair)
    return chosen - reference_chosen, rejected - reference_rejected


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def differences(pairs: list[tuple[Any, ...]]) -> list[float]:
    return [BETA * (chosen - rejected) for chosen, rejected in map(ratios, pairs)]


def dpo(pairs: list[tuple[Any, ...]]) -> float:
    return mean([surprise(x) for x in differences(pairs)])


def hinge(pairs: list[tuple[Any, ...]]) -> float:
    return mean([max(0.0, 1 - x) for x in differences(pairs)])


def ipo(pairs: list[tuple[Any, ...]]) -> float:
    """Azar et al. 2023, on log-ratios per token, as its authors use it."""
    found = []
    for pair in pairs:
        chosen, rejected = ratios(pair)
        found.append((chosen / len(pair[0]) - rejected / len(pair[1]) - 1 / (2 * BETA)) ** 2)
    return mean(found)


def conservative(pairs: list[tuple[Any, ...]], share: float) -> float:
    """Mitchell 2023: a share of the labels is the wrong way round."""
    return mean([(1 - share) * surprise(x) + share * surprise(-x) for x in differences(pairs)])


def robust(pairs: list[tuple[Any, ...]], share: float) -> float:
    """Chowdhury et al. 2024."""
    found = [(1 - share) * surprise(x) - share * surprise(-x) for x in differences(pairs)]
    return mean(found) / (1 - 2 * share)


def without_reference(pairs: list[tuple[Any, ...]]) -> float:
    return mean([surprise(BETA * (sum(chosen) - sum(rejected))) for chosen, rejected, *_ in pairs])


def likelihood(pairs: list[tuple[Any, ...]]) -> float:
    tokens = [token for chosen, *_ in pairs for token in chosen]
    return -mean(tokens)


CASES: list[tuple[dict[str, Any], Any]] = [
    ({}, dpo),
    ({"loss_type": "hinge"}, hinge),
    ({"loss_type": "ipo"}, ipo),
    ({"label_smoothing": 0.2}, lambda pairs: conservative(pairs, 0.2)),
    ({"label_smoothing": 0.2, "loss_type": "robust"}, lambda pairs: robust(pairs, 0.2)),
    ({"reference_free": True}, without_reference),
    ({"rpo_alpha": 0.7}, lambda pairs: dpo(pairs) + 0.7 * likelihood(pairs)),
    (
        {"loss_type": ["sigmoid", "hinge"], "loss_weights": {"hinge": 0.5, "sigmoid": 2.0}},
        lambda pairs: 2 * dpo(pairs) + 0.5 * hinge(pairs),
    ),
    (
        {"loss_type": ["sigmoid", "robust"], "loss_weights": [0.5, 3.0], "label_smoothing": 0.1},
        lambda pairs: 0.5 * conservative(pairs, 0.1) + 3 * robust(pairs, 0.1),
    ),
]
IDS = [
    "sigmoid",
    "hinge",
    "ipo",
    "conservative",
    "robust",
    "reference-free",
    "rpo",
    "several",
    "both-smoothed",
]


@pytest.mark.parametrize(("settings", "formula"), CASES, ids=IDS)
def test_the_loss_is_the_formula(
    folder: Path, tmp_path: Path, settings: dict[str, Any], formula: Any
) -> None:
    found, pairs = measured(folder, tmp_path, **settings)
    seen = differences(pairs)
    assert min(seen) < 0, "a policy that is always right tells few losses apart"
    assert max(seen) > 1, "the hinge is not reached"
    assert found == pytest.approx(formula(pairs), rel=1e-6)


def test_implicit_rewards_are_beta_times_the_log_ratios(folder: Path, tmp_path: Path) -> None:
    trainer = moved(folder, tmp_path)
    _, pairs = measured(folder, tmp_path)
    rows = trainer.train_dataset.select_columns(["prompt", "chosen", "rejected"])
    found = [value for pair in trainer.implicit_rewards(rows) for value in pair]
    expected = [BETA * value for pair in pairs for value in ratios(pair)]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({}, {"sigmoid": 1.0}),
        ({"loss_type": "ipo"}, {"ipo": 1.0}),
        ({"loss_weights": {"sigmoid": 1, "sft": 2}}, {"sigmoid": 1, "sft": 2}),
        ({"label_smoothing": 0.25}, {"sigmoid": 1.5, "robust": -0.5}),
        ({"label_smoothing": 0.25, "loss_type": "aot"}, {"aot": 1.0}),
        ({"rpo_alpha": 0.0}, {"sigmoid": 1.0, "sft": 0.0}),
    ],
    ids=range(6),
)
def test_losses_and_weights_that_trl_is_given(
    settings: dict[str, Any], weights: dict[str, float]
) -> None:
    train = TrainingConfig(**{"loss_type": None, **settings})
    assert weighed(train) == weights
    assert loss_names(train)[0] == next(iter(weights))
