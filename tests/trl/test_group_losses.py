"""The losses on groups of completions against their papers' formulas, in float64.

TRL's trainers, as our runs set them up, are handed log-probabilities that are made by hand, so that
ratios are far from 1. The formulas are loops over numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_trl.fields.checking import GRPO_LOSSES

PROMPTS = [[5, 6, 7], [8, 9], [5, 6, 7], [10], [11, 12], [7, 7, 7]]
COMPLETIONS = [[11, 12, 13, 14], [15], [16, 17, 18], [19, 20], [21, 22, 23], [9, 8]]
MASKED = 5  # this completion does not count: it was cut off
TRENDS = [1.5, -1.5, -0.2, -1.5, 0.1, 0.5]  # of a completion's probability
ADVANTAGES = [1.5, -0.7, 0.4, -1.2, 0.9, -2.0]
LONGEST, TEMPERATURE, BETA, LOW, HIGH = 7, 0.7, 0.2, 0.2, 0.28


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("losses")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(8))
    return folder


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    """The TRL trainer of a run, in double precision."""

    def to(algorithm: str, **settings: Any) -> Any:
        given = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "algorithm": algorithm,
            "backend": "trl",
            "output_dir": str(tmp_path / "run"),
            "batch_size": 6,
            "num_generations": 3,
            "max_steps": 1,
            "temperature": TEMPERATURE,
            "max_completion_length": LONGEST,
            "peft_enabled": False,
            "precision": "fp32",
            "loggers": "none",
            "rewards": [{"type": "custom", "params": {"reward_function": lambda text, **c: 1.0}}],
        }
        ours: Any = create_rl_trainer(**given | settings)
        trainer = ours.setup()
        trainer.model.double()
        return trainer

    return to


@dataclass(frozen=True)
class Completion:
    """A completion: its advantage, and the log-probabilities of its tokens by three policies."""

    advantage: float
    new: list[float]
    old: list[float]
    reference: list[float]

    def ratios(self) -> list[float]:
        return [math.exp(new - old) for new, old in zip(self.new, self.old, strict=True)]

    @property
    def likelihood(self) -> float:
        """The probability of the whole completion, over the old one."""
        return math.exp(sum(self.new) - sum(self.old))


def logprobs(model: Any, prompt: list[int], completion: list[int]) -> list[float]:
    """Of the tokens of one completion, beside which no padding stands."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + completion])).logits[0] / TEMPERATURE
    before = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return [float(row[token]) for row, token in zip(before, completion, strict=True)]


def drift(seed: int, scale: float, trends: list[float]) -> list[list[float]]:
    """How far the log-probability of each token moved; completions have a trend."""
    rng, made = np.random.default_rng(seed), zip(trends, COMPLETIONS, strict=True)
    return [[scale * float(rng.normal(trend, 0.5)) for _ in tokens] for trend, tokens in made]


def completions(scale: float) -> list[Completion]:
    """Completions, in which the policy moved so far from the one that made them."""
    drifts = drift(1, scale, TRENDS), drift(2, 0.5, [0.0] * len(TRENDS))
    found = []
    for index, moved in enumerate(zip(*drifts, strict=True)):
        rng = np.random.default_rng(index)
        new = [float(value) for value in -rng.gamma(2.0, size=len(COMPLETIONS[index]))]
        old, reference = ([now - by for now, by in zip(new, shift, strict=True)] for shift in moved)
        found.append(Completion(ADVANTAGES[index], new, old, reference))
    return found


def padded(rows: list[Any], *, left: bool = False) -> torch.Tensor:
    width = max(map(len, rows))
    kind = torch.float64 if isinstance(rows[0][0], float) else torch.long
    filled = [[0] * (width - len(r)) + r if left else r + [0] * (width - len(r)) for r in rows]
    return torch.tensor(filled, dtype=kind)


def batch(made: list[Completion]) -> dict[str, Any]:
    """What TRL's trainers compute the loss of; padding has numbers that must not matter."""
    mask = padded([[1] * len(tokens) for tokens in COMPLETIONS])
    mask[MASKED] = 0
    old, reference = padded([m.old for m in made]), padded([m.reference for m in made])
    old[mask == 0] = -3.0
    return {
        "prompt_ids": padded(PROMPTS, left=True),
        "prompt_mask": padded([[1] * len(tokens) for tokens in PROMPTS], left=True),
        "completion_ids": padded(COMPLETIONS),
        "completion_mask": mask,
        "advantages": torch.tensor([m.advantage for m in made], dtype=torch.float64),
        "old_per_token_logps": old,
        "old_logps": (old * mask).sum(-1),
        "ref_per_token_logps": reference,
        "num_items_in_batch": mask.sum(),
    }


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def surrogate(ratio: float, advantage: float, low: float = LOW, high: float = HIGH) -> float:
    """What is gained, clipped (Schulman et al. 2017, equation 7)."""
    return min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)


def k3(new: float, reference: float) -> float:
    """DeepSeekMath, equation 4."""
    return math.exp(reference - new) - (reference - new) - 1


def gains(made: Completion, beta: float = 0.0) -> list[float]:
    """Of each token: the clipped surrogate minus what its divergence costs."""
    return [
        surrogate(ratio, made.advantage) - beta * k3(new, reference)
        for ratio, new, reference in zip(made.ratios(), made.new, made.reference, strict=True)
    ]


def counted(made: list[Completion]) -> list[Completion]:
    return [completion for index, completion in enumerate(made) if index != MASKED]


def grpo(made: list[Completion]) -> float:
    """DeepSeekMath, equation 3: the mean over completions of the mean over tokens."""
    return -sum(mean(gains(m, BETA)) for m in counted(made)) / len(made)


def bnpo(made: list[Completion]) -> float:
    return -mean([gain for m in counted(made) for gain in gains(m, BETA)])


def dr_grpo(made: list[Completion]) -> float:
    """Liu et al. 2025, equation 4: sums over tokens, divided by one constant."""
    return -sum(sum(gains(m)) for m in counted(made)) / (len(made) * LONGEST)


def gspo(made: list[Completion]) -> float:
    """Zheng et al. 2025, equations 5 and 7: the ratio is (π(y) / π_old(y)) ** (1 / |y|)."""
    found = [
        surrogate(m.likelihood ** (1 / len(m.new)), m.advantage, 3e-4, 4e-4) for m in counted(made)
    ]
    return -sum(found) / len(made)


def luspo(made: list[Completion]) -> float:
    """LUSPO (arXiv 2602.05261): GSPO, of which each completion counts by its length."""
    found = [
        len(m.new) * surrogate(m.likelihood ** (1 / len(m.new)), m.advantage) for m in counted(made)
    ]
    return -sum(found) / len(made)


def cispo_weight(ratio: float) -> float:
    """What a token counts by: its ratio, capped from above alone."""
    return min(ratio, 1.3)


def cispo(made: list[Completion]) -> float:
    """CISPO (arXiv 2506.13585): log-probabilities weighed by capped ratios."""
    found = [
        cispo_weight(ratio) * m.advantage * new
        for m in counted(made)
        for ratio, new in zip(m.ratios(), m.new, strict=True)
    ]
    return -mean(found)


def sapo(made: list[Completion]) -> float:
    """SAPO (arXiv 2511.20347): a soft gate in the place of clipping."""

    def gate(ratio: float, advantage: float) -> float:
        heat = 1.0 if advantage > 0 else 1.05
        return 4 / heat / (1 + math.exp(-heat * (ratio - 1))) * advantage

    found = [mean([gate(ratio, m.advantage) for ratio in m.ratios()]) for m in counted(made)]
    return -sum(found) / len(made)


def vespo_weight(made: Completion) -> float:
    """VESPO (arXiv 2602.10693): W^c₁ exp(c₂ - c₂ W) of the ratio W of the whole completion.

    Its powers and decays are those of the authors' runs, which differ by the advantage's sign.
    """
    power, decay = (2.0, 3.0) if made.advantage >= 0 else (3.0, 2.0)
    return made.likelihood**power * math.exp(decay * (1 - made.likelihood))


def vespo(made: list[Completion]) -> float:
    """Log-probabilities, weighed by the ratio of their completion."""
    found = [vespo_weight(m) * m.advantage * new for m in counted(made) for new in m.new]
    return -mean(found)


def rloo(made: list[Completion]) -> float:
    """Ahmadian et al. 2024: a completion is one action; TRL clips its ratio as PPO does.

    One that does not count has a ratio of 1, which no weight moves.
    """
    found = [surrogate(m.likelihood, m.advantage) for m in counted(made)]
    return -(sum(found) + ADVANTAGES[MASKED]) / len(made)


CLIP = {"cliprange": LOW, "cliprange_high": HIGH}
# Algorithm, settings, how far log-probabilities moved, formula.
CASES: dict[str, tuple[str, dict[str, Any], float, Callable[[list[Completion]], float]]] = {
    "grpo": ("grpo", {**CLIP, "kl_coef": BETA}, 0.4, grpo),
    "bnpo": ("grpo", {**CLIP, "kl_coef": BETA, "loss_type": "bnpo"}, 0.4, bnpo),
    # Of one forward pass, which is the whole update here, it is the same mean.
    "dapo": ("grpo", {**CLIP, "kl_coef": BETA, "loss_type": "dapo"}, 0.4, bnpo),
    "dr_grpo": ("dr_grpo", CLIP, 0.4, dr_grpo),
    "gspo": ("gspo", {}, 1e-3, gspo),
    "luspo": ("grpo", {**CLIP, "kl_coef": 0.0, "loss_type": "luspo"}, 0.4, luspo),
    "cispo": ("grpo", {"cliprange_high": 1.3, "kl_coef": 0.0, "loss_type": "cispo"}, 0.4, cispo),
    "sapo": ("grpo", {"kl_coef": 0.0, "loss_type": "sapo"}, 0.4, sapo),
    "vespo": ("grpo", {"kl_coef": 0.0, "loss_type": "vespo"}, 0.15, vespo),
    "rloo": ("rloo", CLIP, 0.3, rloo),
}


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_the_formula(make: Callable[..., Any], name: str) -> None:
    algorithm, settings, scale, formula = CASES[name]
    trainer, made = make(algorithm, **settings), completions(scale)
    found = float(loss_of(trainer, made)[0].detach())
    assert found == pytest.approx(formula(made), rel=1e-6)
    clipped = trainer._metrics["eval"].get("clip_ratio/region_mean", [0.5])[0]
    assert 0 < clipped < 1, "ratios that are not clipped tell few losses apart"


def loss_of(trainer: Any, made: list[Completion]) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss, and the log-probabilities that it is a function of."""
    trainer.model.eval()
    given = padded([m.new for m in made])
    given[batch(made)["completion_mask"] == 0] = -1.0
    given.requires_grad_()
    made_up = (given, -given.detach(), None)
    trainer._get_per_token_logps_and_entropies = lambda *args, **more: made_up
    return trainer._compute_loss(trainer.model, batch(made)), given


def test_every_loss_that_a_run_may_ask_for_has_a_formula() -> None:
    named = {settings.get("loss_type", "grpo") for _, settings, *_ in CASES.values()}
    assert named | {"dr_grpo"} >= set(GRPO_LOSSES)


@pytest.mark.parametrize("name", ["cispo", "vespo"])
def test_what_weighs_a_log_probability_is_no_part_of_the_gradient(
    make: Callable[..., Any], name: str
) -> None:
    """The loss has the same value either way; the gradient tells."""
    algorithm, settings, scale, _ = CASES[name]
    made = completions(scale)
    loss, given = loss_of(make(algorithm, **settings), made)
    loss.backward()
    tokens = sum(len(m.new) for m in counted(made))
    for index, m in enumerate(made):
        weights = [cispo_weight(r) if name == "cispo" else vespo_weight(m) for r in m.ratios()]
        expected = [-weight * m.advantage / tokens * (index != MASKED) for weight in weights]
        assert given.grad is not None
        assert given.grad[index, : len(expected)].tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_log_probabilities_are_of_the_sampling_temperature_and_without_padding(
    make: Callable[..., Any], folder: Path, algorithm: str
) -> None:
    trainer, made = make(algorithm), batch(completions(0.1))
    mask = padded([[1] * len(tokens) for tokens in COMPLETIONS])
    with torch.no_grad():
        found = trainer._get_per_token_logps_and_entropies(
            trainer.model,
            torch.cat([made["prompt_ids"], made["completion_ids"]], dim=1),
            torch.cat([made["prompt_mask"], mask], dim=1),
            mask.size(1),
        )[0]
    policy = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    for prompt, completion, row in zip(PROMPTS, COMPLETIONS, found, strict=True):
        expected = logprobs(policy, prompt, completion)
        assert row[: len(completion)].tolist() == pytest.approx(expected, abs=1e-6)


REWARDS = [0.5, 1.0, -0.25, 2.0, 2.0, 0.0]  # of two groups
GROUPS = (REWARDS[:3], REWARDS[3:])


def deviation(values: list[float]) -> float:
    """The sample's, as TRL takes it: the divisor is one less than the number of values."""
    return math.sqrt(sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1))


def centred(scale: Callable[[list[float]], float]) -> list[float]:
    """Rewards minus their group's mean, over a scale; TRL adds 1e-4 to a deviation."""
    return [(reward - mean(group)) / scale(group) for group in GROUPS for reward in group]


def left_out(rewards: list[float]) -> list[float]:
    """Rewards minus the mean of the others in their group."""
    groups = rewards[:3], rewards[3:]
    return [
        reward - mean(group[:index] + group[index + 1 :])
        for group in groups
        for index, reward in enumerate(group)
    ]


OF_GROUP, OF_BATCH = centred(lambda group: deviation(group) + 1e-4), deviation(REWARDS) + 1e-4
SPREAD = deviation(left_out(REWARDS)) + 1e-4
ADVANTAGE_CASES: list[tuple[str, dict[str, Any], list[float]]] = [
    ("grpo", {}, OF_GROUP),
    ("grpo", {"scale_rewards": "batch"}, centred(lambda group: OF_BATCH)),
    ("gspo", {}, OF_GROUP),
    ("dr_grpo", {}, centred(lambda group: 1.0)),
    ("rloo", {"kl_coef": 0.0}, left_out(REWARDS)),
    (
        "rloo",
        {"kl_coef": 0.0, "scale_rewards": "batch"},
        [advantage / SPREAD for advantage in left_out(REWARDS)],
    ),
]


def rollout(make: Callable[..., Any], algorithm: str, **settings: Any) -> tuple[Any, Any]:
    """The trainer, and a generation of its completions, which earn the hand-made rewards."""
    left = iter(REWARDS)
    reward = {"type": "custom", "params": {"reward_function": lambda text, **columns: next(left)}}
    trainer = make(algorithm, rewards=[reward], **settings)
    with torch.no_grad():  # a policy that is no longer the reference
        for weight in trainer.model.parameters():
            weight.add_(torch.full_like(weight, 0.05) * torch.sign(weight))
    trainer.model.double().train()  # so that the formula can be met to one part in a million
    if trainer.ref_model is not None:
        trainer.ref_model.double()
    rows = [trainer.train_dataset[index] for index in (0, 0, 0, 1, 1, 1)]
    return trainer, trainer._generate_and_score_completions(rows)


@pytest.mark.parametrize(("algorithm", "settings", "expected"), ADVANTAGE_CASES, ids=range(6))
def test_advantages(
    make: Callable[..., Any], algorithm: str, settings: dict[str, Any], expected: list[float]
) -> None:
    _, made = rollout(make, algorithm, **settings)
    assert made["advantages"].tolist() == pytest.approx(expected, abs=1e-6)


def test_in_rloo_a_reward_pays_for_the_divergence_of_its_completion(
    make: Callable[..., Any], folder: Path
) -> None:
    trainer, made = rollout(make, "rloo", kl_coef=0.3)
    reference = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    policy = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    policy.load_state_dict(trainer.model.state_dict())
    rewards, costs = [], []
    for index, reward in enumerate(REWARDS):
        prompt, tokens = (
            made[f"{part}_ids"][index][made[f"{part}_mask"][index] == 1].tolist()
            for part in ("prompt", "completion")
        )
        now, before = (sum(logprobs(model, prompt, tokens)) for model in (policy, reference))
        costs.append(0.3 * (now - before))
        rewards.append(reward - costs[-1])
    assert max(costs) - min(costs) > 0.1, "a policy that did not move proves little"
    assert made["advantages"].tolist() == pytest.approx(left_out(rewards), abs=1e-6)
