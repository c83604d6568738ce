"""Online DPO: which of two completions is chosen, and what a pair costs (Guo et al. 2024).

arXiv 2402.04792, section 3: two completions of a prompt are sampled from the policy, the one that
is judged better is chosen, and the policy takes a step on a loss of pairs: DPO's, IPO's or SLiC's.
Here rewards judge. Every function is pure; `x` is the difference of log-ratios, policy over
reference, chosen less rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["choose", "pair_loss"]


def choose(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The better and the worse completion of each pair.

    Args:
        scores: of completions, those of one pair side by side, shape (2 pairs,).

    Returns:
        the places of the chosen and of the rejected in `scores`, and which pairs are decided, each
        of shape (pairs,). Equal scores decide nothing.
    """
    first, second = scores.view(-1, 2).unbind(dim=1)
    places = torch.arange(0, len(scores), 2, device=scores.device)
    worse = (second > first).long()  # whether the first is the worse one
    return places + worse, places + 1 - worse, first != second


def pair_loss(x: Tensor, beta: float, kind: str = "sigmoid") -> Tensor:
    """The loss of each pair, shape (pairs,).

    Args:
        x: differences of log-ratios, shape (pairs,).
        beta: how closely the policy is held to the reference; positive.
        kind: `sigmoid` (DPO), `ipo` or `hinge` (SLiC).
    """
    if kind == "ipo":
        return (x - 1 / (2 * beta)) ** 2
    if kind == "hinge":
        return torch.relu(1 - beta * x)
    return -torch.nn.functional.logsigmoid(beta * x)
