"""The tokenizer's padding, the batch size and the order of the rows change no metric.

Every registered evaluator is measured here, unless `LEFT_OUT` says why not; one that is new is
measured with its defaults, and `params` holds what others need. Greedy and sampled.
"""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

import pytest
import torch

from aligntune import plugins
from aligntune.evaluation import Evaluation, EvaluationSettings, prepare
from aligntune.scoring.build import missing_packages
from aligntune.testing import make_classifier, make_encoder

LEFT_OUT = {"runtime": "measures time, which differs from one run to the next"}
"""Evaluator -> why it is not measured here."""

ONE_SAMPLE = {
    "bleu": "of a corpus",
    "chrf": "of a corpus",
    "ter": "of a corpus",
}
"""Evaluators that refuse several samples of a row."""

PROMPTS = ["abc", "1+1=", "a b c d e", "to be or not to be", "x", "e-e", "the the", "01234567"]


def numbers(predictions: list[str], references: list[Any]) -> float:
    """A custom metric: the mean length of the completions."""
    return sum(map(len, predictions)) / len(references)


def rows_of(prompts: list[str]) -> list[dict[str, Any]]:
    """Rows that bring what evaluators need, each telling by its prompt what stands in it."""
    return [
        {
            "prompt": prompt,
            "answer": ["yes", "one", "end"][len(prompt) % 3],
            "completion": f"{prompt} and more"[: 4 + len(prompt) % 9],
            "text": prompt * (1 + len(prompt) % 3),
            "choices": ["yes", "one", "end"],
            "tests": [{"function": "f", "args": [1], "expected": 2}],
            "chosen": f"yes {prompt}"[: 5 + len(prompt) % 7],
            "rejected": f"no, {prompt} is not"[: 4 + len(prompt) % 11],
        }
        for prompt in prompts
    ]


@pytest.fixture(scope="module")
def params(
    tmp_path_factory: pytest.TempPathFactory, model: Any, tokenizer: Any
) -> dict[str, dict[str, Any]]:
    """The parameters of evaluators that have no defaults, or whose default is a model elsewhere."""
    folder = tmp_path_factory.mktemp("invariance")
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(3)
    for weight in other.parameters():
        weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    other.save_pretrained(folder / "other")
    tokenizer.save_pretrained(folder / "other")
    letters = {letter: [(i % 3) - 1, (i % 5) / 4] for i, letter in enumerate("abcdefghijklmnop")}
    encoder = str(make_encoder(folder / "encoder", {**letters, "yes": [1, 0.5]}))
    harm = str(make_classifier(folder / "harm", ["toxic", "ok"], letters))
    labels = ["entailment", "neutral", "contradiction"]
    nli = {word: [values[0], 0, values[1]] for word, values in letters.items()}
    return {
        "reward": {"reward": "length"},
        "win_rate": {"reward": "length"},
        "custom_metric": {"function": numbers},
        "kl": {"reference_model": str(folder / "other")},
        "bertscore": {"model": encoder},
        "semantic_similarity": {"model": encoder},
        "toxicity": {"model": harm},
        "bias": {"model": harm},
        "factual_accuracy": {"model": str(make_classifier(folder / "nli", labels, nli))},
        "pass_at_k": {"allow_weak_isolation": True},
    }


def measure(
    prompts: list[str],
    given: tuple[Any, Any, dict[str, dict[str, Any]]],
    settings: EvaluationSettings,
    *,
    side: str = "left",
) -> Evaluation:
    model, tokenizer, params = given
    padded = copy.deepcopy(tokenizer)
    padded.padding_side = side
    wanted = [
        {"type": name, "params": params.get(name, {})}
        for name in plugins.get().evaluators.names()
        if name not in LEFT_OUT and (settings.num_samples == 1 or name not in ONE_SAMPLE)
    ]
    return prepare(rows_of(prompts), wanted, settings, plugins.get()).run(model, padded)


def same(one: Evaluation, other: Evaluation, prompts: list[str], others: list[str]) -> None:
    assert [metric.name for metric in one.metrics] == [metric.name for metric in other.metrics]
    for left, right in zip(one.metrics, other.metrics, strict=True):
        for key in ("value", "n", "stderr", "low", "high"):
            alike(getattr(left, key), getattr(right, key), (left.name, key))
    theirs = dict(zip(others, (sample["scores"] for sample in other.samples), strict=True))
    for prompt, sample in zip(prompts, one.samples, strict=True):
        for name, score in sample["scores"].items():
            alike(score, theirs[prompt][name], (prompt, name))


def alike(one: float | None, other: float | None, what: tuple[str, str]) -> None:
    if one is None or other is None:
        assert one is other, what
    else:
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5), what


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"temperature": 1.2, "top_p": 0.9, "seed": 5},
        pytest.param({"temperature": 1.0, "num_samples": 3}, marks=pytest.mark.slow),
    ],
    ids=["greedy", "sampled", "three samples"],
)
def test_padding_batch_size_and_order_change_no_metric(
    model: Any, tokenizer: Any, params: dict[str, dict[str, Any]], how: dict[str, Any]
) -> None:
    given = (model, tokenizer, params)
    settings = EvaluationSettings(batch_size=1, max_new_tokens=10, **how)
    alone = measure(PROMPTS, given, settings)
    assert len({sample["completion"] for sample in alone.samples}) > 4
    shuffled = random.Random(1).sample(PROMPTS, len(PROMPTS))
    together = measure(shuffled, given, replace(settings, batch_size=3), side="right")
    same(alone, together, PROMPTS, shuffled)


def test_every_evaluator_is_measured_here_or_left_out_for_a_reason() -> None:
    registered = plugins.get().evaluators
    assert set(LEFT_OUT) | set(ONE_SAMPLE) < set(registered.names())
    assert all(LEFT_OUT.values())
    lacking = {
        name: missing
        for name in registered.names()
        if (missing := missing_packages(plugins.get().find(registered, name).facts))
    }
    assert not lacking, "these cannot be measured here, for want of packages"
