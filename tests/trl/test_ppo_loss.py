"""The formulas of PPO against loops over numbers, written from the papers in double precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from aligntune_trl.ppo import loss as ppo_loss

LENGTHS = [4, 1, 3, 0]  # tokens of each completion; the last one is masked altogether
LONGEST = max(LENGTHS)
MASK = np.array([[1.0 if t < length else 0.0 for t in range(LONGEST)] for length in LENGTHS])


def numbers(seed: int, scale: float = 1.0) -> np.ndarray:
    """One number for each token; what stands in the padding must not matter."""
    return np.random.default_rng(seed).normal(scale=scale, size=MASK.shape)


def tensor(array: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float32)


def same(found: torch.Tensor, expected: Any) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-6)


def tokens() -> list[tuple[int, int]]:
    return [(row, t) for row, length in enumerate(LENGTHS) for t in range(length)]


@pytest.mark.parametrize(
    ("estimator", "expected"), [("k1", math.log(2)), ("k2", math.log(2) ** 2 / 2), ("k3", 0.193147)]
)
def test_estimators_of_a_token_that_became_twice_as_likely(estimator: Any, expected: float) -> None:
    found = ppo_loss.kl_estimate(tensor([math.log(0.5)]), tensor([math.log(0.25)]), estimator)
    same(found, [expected])


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_an_unbiased_estimator_has_the_divergence_as_its_mean(estimator: Any) -> None:
    policy, reference = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])
    divergence = float((policy * np.log(policy / reference)).sum())
    each = ppo_loss.kl_estimate(tensor(np.log(policy)), tensor(np.log(reference)), estimator)
    assert float((tensor(policy) * each).sum()) == pytest.approx(divergence, abs=1e-6)


def test_a_token_pays_for_its_divergence_and_the_last_one_earns_the_score() -> None:
    kl, scores = numbers(1), np.array([2.0, -1.0, 0.5, 9.0])
    expected = np.zeros_like(MASK)
    for row, t in tokens():
        expected[row, t] = -0.3 * kl[row, t] + (scores[row] if t == LENGTHS[row] - 1 else 0.0)
    same(ppo_loss.token_rewards(tensor(scores), tensor(kl), tensor(MASK), 0.3), expected)


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (0.9, 0.0), (1.0, 1.0)])
def test_advantages_are_sums_of_discounted_surprises(gamma: float, lam: float) -> None:
    rewards, values = numbers(2), numbers(3)
    expected, returns = np.zeros_like(MASK), np.zeros_like(MASK)
    for row, t in tokens():
        for later in range(t, LENGTHS[row]):
            following = values[row, later + 1] if later + 1 < LENGTHS[row] else 0.0
            delta = rewards[row, later] + gamma * following - values[row, later]
            expected[row, t] += (gamma * lam) ** (later - t) * delta
        returns[row, t] = expected[row, t] + values[row, t]
    found = ppo_loss.advantages_and_returns(
        tensor(rewards), tensor(values), tensor(MASK), gamma, lam
    )
    same(found[0], expected)
    same(found[1], returns)


def test_with_lambda_1_the_return_is_what_was_earned_from_there_on() -> None:
    rewards = np.array([[1.0, 2.0, 4.0, 8.0]])
    ones = np.ones_like(rewards)
    _, returns = ppo_loss.advantages_and_returns(
        tensor(rewards), tensor(numbers(3)[:1]), tensor(ones), 0.5, 1.0
    )
    same(returns, [[1 + 1 + 1 + 1, 2 + 2 + 2, 4 + 4, 8]])


@pytest.mark.parametrize("shift", [True, False])
def test_whitening(shift: bool) -> None:
    values = numbers(4, scale=3.0) + 5.0
    kept = np.array([values[row, t] for row, t in tokens()])
    expected = np.zeros_like(MASK)
    for row, t in tokens():
        expected[row, t] = (values[row, t] - kept.mean()) / math.sqrt(kept.var() + 1e-8)
        expected[row, t] += 0.0 if shift else kept.mean()
    same(ppo_loss.whiten(tensor(values), tensor(MASK), shift=shift), expected)


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.2), (0.1, 0.4)])
def test_the_policy_loss_is_the_clipped_surrogate(low: float, high: float) -> None:
    logprobs, old, advantages = numbers(5, 0.5), numbers(6, 0.5), numbers(7)
    expected, clipped = np.zeros_like(MASK), np.zeros_like(MASK)
    for row, t in np.ndindex(*MASK.shape):
        ratio = math.exp(logprobs[row, t] - old[row, t])
        inside = min(max(ratio, 1 - low), 1 + high)
        advantage = advantages[row, t]
        expected[row, t] = -min(ratio * advantage, inside * advantage)
        clipped[row, t] = inside * advantage < ratio * advantage
    found = ppo_loss.policy_loss(tensor(logprobs), tensor(old), tensor(advantages), low, high)
    same(found[0], expected)
    assert (found[1].numpy() == clipped).all()
    assert 0 < clipped.mean() < 1


def test_the_value_loss_is_clipped_half_squared_error() -> None:
    values, old, returns = numbers(8), numbers(9), numbers(10)
    expected, clipped = np.zeros_like(MASK), np.zeros_like(MASK)
    for row, t in np.ndindex(*MASK.shape):
        near = min(max(values[row, t], old[row, t] - 0.2), old[row, t] + 0.2)
        errors = (values[row, t] - returns[row, t]) ** 2, (near - returns[row, t]) ** 2
        expected[row, t] = max(errors) / 2
        clipped[row, t] = errors[1] > errors[0]
    found = ppo_loss.value_loss(tensor(values), tensor(old), tensor(returns), 0.2)
    same(found[0], expected)
    assert (found[1].numpy() == clipped).all()
    assert 0 < clipped.mean() < 1


def test_means_leave_padding_out() -> None:
    values = numbers(11)
    expected = np.mean([values[row, t] for row, t in tokens()])
    same(ppo_loss.masked_mean(tensor(values), tensor(MASK)), expected)
    same(ppo_loss.masked_mean(tensor(values), tensor(np.zeros_like(MASK))), 0.0)


def test_explained_variance() -> None:
    values, returns = numbers(12), numbers(13)
    errors = np.array([returns[at] - values[at] for at in tokens()])
    seen = np.array([returns[at] for at in tokens()])
    expected = 1 - errors.var() / seen.var()
    same(ppo_loss.explained_variance(tensor(values), tensor(returns), tensor(MASK)), expected)
    same(ppo_loss.explained_variance(tensor(returns), tensor(returns), tensor(MASK)), 1.0)


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (6.0, 0.2),  # on target
        (6.6, 0.2 * 1.01),  # 10 % above it
        (60.0, 0.2 * 1.02),  # errors count for 20 % at most
        (0.0, 0.2 * 0.98),
        (5.7, 0.2 * 0.995),
    ],
)
def test_the_controller_of_ziegler_et_al(kl: float, expected: float) -> None:
    assert ppo_loss.adapt_kl_coef(0.2, kl, 6.0) == pytest.approx(expected, abs=1e-12)
