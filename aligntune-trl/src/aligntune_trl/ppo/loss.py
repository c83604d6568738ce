"""The formulas of proximal policy optimization, as functions of tensors and nothing else.

PPO: Schulman et al. 2017, arXiv 1707.06347. GAE: Schulman et al. 2016, arXiv 1506.02438. The KL
penalty and its controller: Ziegler et al. 2019, arXiv 1909.08593; Ouyang et al. 2022, 2203.02155.

Tensors have the shape (completions, tokens), completions padded on the right; `mask` has a 1 for
each token of a completion and a 0 for padding. What a function returns for padding is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "adapt_kl_coef",
    "advantages_and_returns",
    "explained_variance",
    "kl_estimate",
    "masked_mean",
    "policy_loss",
    "token_rewards",
    "value_loss",
    "whiten",
]

GAIN = 0.1  # Ziegler et al. 2019, section 2.2: K_beta
LARGEST_ERROR = 0.2  # same place: the relative error is clipped to this


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens of all completions; 0 where there is none."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def kl_estimate(
    logprobs: Tensor, reference: Tensor, estimator: Literal["k1", "k2", "k3"]
) -> Tensor:
    """Estimate KL(policy || reference) at each token that the policy sampled, in nats.

    With log r = logprobs - reference: k1 = log r (unbiased), k2 = (log r)^2 / 2 and
    k3 = 1/r - 1 + log r (unbiased, never negative). John Schulman, "Approximating KL Divergence",
    2020.
    """
    log_ratio = logprobs - reference
    if estimator == "k1":
        return log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    return torch.expm1(-log_ratio) + log_ratio


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """What each token earns: -kl_coef * KL, and at the last token of a completion its score too.

    Args:
        scores: one for each completion, shape (completions,).
        kl: an estimate for each token.
        mask: which tokens are no padding.
        kl_coef: what a nat of KL divergence costs.
    """
    rewards = -kl_coef * kl * mask
    last = (mask.sum(dim=1) - 1).clamp(min=0).long()
    rewards[torch.arange(len(rewards), device=rewards.device), last] += scores
    return rewards * mask


def whiten(values: Tensor, mask: Tensor, *, shift: bool = True) -> Tensor:
    """Scale to variance 1, and to mean 0 unless `shift` is false, over all tokens together."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean).square(), mask)
    whitened = (values - mean) * torch.rsqrt(variance + 1e-8)
    return (whitened if shift else whitened + mean) * mask


def advantages_and_returns(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Generalized advantage estimation (Schulman et al. 2016, equations 11 to 16).

    delta_t = r_t + gamma * V_{t+1} - V_t, A_t = delta_t + gamma * lam * A_{t+1}, with nothing after
    the last token; the returns that the critic learns are A_t + V_t.

    Args:
        rewards: r_t, what token t earns.
        values: V_t, what the critic expects from the state in which token t is chosen.
        mask: which tokens are no padding.
        gamma: discount factor, in [0, 1].
        lam: 0 trusts the critic, 1 trusts the rewards that were seen.
    """
    rewards, values = rewards * mask, values * mask
    following = torch.zeros_like(values[:, 0])
    next_value = torch.zeros_like(following)
    advantages = torch.zeros_like(values)
    for t in reversed(range(values.size(1))):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = (delta + gamma * lam * following) * mask[:, t]
        advantages[:, t] = following
        next_value = values[:, t]
    return advantages, advantages + values


def policy_loss(
    logprobs: Tensor, old: Tensor, advantages: Tensor, low: float, high: float
) -> tuple[Tensor, Tensor]:
    """The clipped surrogate (Schulman et al. 2017, equation 7), for each token, to be minimized.

    -min(r A, clip(r, 1 - low, 1 + high) A), with r = exp(logprobs - old).

    Returns:
        The loss, and whether clipping took the gradient away.
    """
    ratio = torch.exp(logprobs - old)
    free = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - low, 1 + high)
    return torch.maximum(free, clipped), clipped > free


def value_loss(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Half the squared error of the critic, for each token, clipped as the policy's ratio is.

    max((V - R)^2, (clip(V, V_old - clip, V_old + clip) - R)^2) / 2

    Returns:
        The loss, and whether clipping took the gradient away.
    """
    free = (values - returns).square()
    clipped = (old + (values - old).clamp(-clip, clip) - returns).square()
    return torch.maximum(free, clipped) / 2, clipped > free


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """1 - Var(R - V) / Var(R): 1 for a critic that knows the returns, 0 for one that is constant.

    NaN where all returns are equal.
    """

    def variance(of: Tensor) -> Tensor:
        return masked_mean((of - masked_mean(of, mask)).square(), mask)

    return 1 - variance(returns - values) / variance(returns)


def adapt_kl_coef(kl_coef: float, kl: float, target: float) -> float:
    """The KL coefficient of the next rollout (Ziegler et al. 2019, section 2.2).

    e = clip((KL - target) / target, -0.2, 0.2), and the coefficient is multiplied by 1 + 0.1 e.

    Args:
        kl_coef: the coefficient of this rollout.
        kl: mean over completions of the KL divergence to the reference, in nats per completion.
        target: what that mean is steered to.
    """
    error = max(-LARGEST_ERROR, min(LARGEST_ERROR, (kl - target) / target))
    return kl_coef * (1 + GAIN * error)
