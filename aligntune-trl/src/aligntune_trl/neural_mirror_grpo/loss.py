"""The loss of group-based mirror policy optimization, as functions of tensors and nothing else.

Yuan et al. 2026, arXiv 2602.04380: GRPO's clipped surrogate, with the Bregman divergence of a
mirror map (`mirror_map`) where GRPO has its KL divergence, averaged as in Dr. GRPO (Liu et al.
2025, arXiv 2503.20783).

Tensors have the shape (completions, tokens), completions padded on the right; `mask` has a 1 for
each token of a completion and a 0 for padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Divergence", "dr_grpo_mean", "token_divergence"]

# D(y, y0) of probabilities of one shape, each at least 0.
Divergence = Callable[["Tensor", "Tensor"], "Tensor"]


def dr_grpo_mean(values: Tensor, mask: Tensor, longest: int) -> Tensor:
    """The sum over tokens, divided by completions times the longest that one could have been.

    Divided by its own length, a long wrong completion would count less than a short one.
    """
    return (values * mask).sum() / (len(values) * longest)


def token_divergence(logprobs: Tensor, reference: Tensor, divergence: Divergence) -> Tensor:
    """D(pi, pi_ref) of each token, of the policy's and the reference's log-probabilities of it.

    In float64: close to the reference the difference of two probabilities is all that there is.
    """
    found = divergence(logprobs.double().exp(), reference.double().exp())
    return found.to(logprobs.dtype)
