"""The loss of classifiers: cross entropy over what has a label.

For logits z of one text, or of one token, and its label y among C labels,

    nll(z, y)  = -log softmax(z)[y]
    loss(z, y) = (1 - e) nll(z, y) + (e / C) sum over c of nll(z, c)

with e = `label_smoothing_factor` (Szegedy et al. 2016, arXiv 1512.00567, section 7). The loss of a
step is the mean over all labels of its batch, however many passes that is split into.

The one thing to know: transformers' models for classification do not do that by themselves. Most
average over their own pass and take `num_items_in_batch` without using it, so that the loss and its
gradient are `gradient_accumulation_steps` times too large.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["IGNORED", "classification_loss", "loss_function"]

IGNORED = -100
"""The label of a token that has none; torch's cross entropy leaves it out."""


def classification_loss(
    logits: Tensor, labels: Tensor, count: Tensor | int, *, smoothing: float = 0.0
) -> Tensor:
    """Sum of the losses, divided by `count`; computed in float32 at least.

    Args:
        logits: of texts (batch, labels), or of tokens (batch, tokens, labels).
        labels: numbers from 0 on, or -100 for none: (batch) or (batch, tokens).
        count: labels of the whole batch of a step, those that are -100 left out.
        smoothing: e in the formula, in [0, 1).

    Returns:
        a scalar; 0 where no label is to be learned.
    """
    import torch.nn.functional as F  # noqa: N812
    from torch import float32, promote_types

    flat = logits.reshape(-1, logits.shape[-1]).to(promote_types(logits.dtype, float32))
    total = F.cross_entropy(
        flat,
        labels.reshape(-1),
        ignore_index=IGNORED,
        reduction="sum",
        label_smoothing=smoothing,
    )
    return total / max(count, 1)  # a sum over no label is 0, too


def loss_function(smoothing: float) -> Callable[..., Tensor]:
    """The loss as transformers' Trainer calls it: its `compute_loss_func`."""

    def compute(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        count = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return classification_loss(outputs.logits, labels, count, smoothing=smoothing)

    return compute
