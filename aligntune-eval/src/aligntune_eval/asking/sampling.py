"""Sampling that depends on what is asked, and not on the batch, its padding or its order.

A token is drawn by the Gumbel-max trick: argmax(log p + g) with g = -log(-log u) for each token is
an exact draw from softmax (Gumbel 1954; Maddison et al. 2014, arXiv 1411.0030). u is a hash of (the
key of the row, the step, the token), so each row has its own stream, on every device the same.
Temperature, top-k and top-p are transformers' own warpers, in the order of `generate`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from transformers import LogitsProcessor

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from aligntune.evaluation import EvaluationSettings

__all__ = ["Sampler", "gumbel", "stream"]

# SplitMix64 (Steele, Lea, Flood 2014): the step between two states, and its mixing function.
_STEP = 0x9E3779B97F4A7C15
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)
_LARGEST = 1.0 - 2.0**-24  # below 1 in float32


def stream(seed: int, key: str) -> int:
    """The stream of random numbers that belongs to `key` under this seed, as 64 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:8], "little")


def gumbel(streams: Sequence[int], step: int, size: int, device: torch.device) -> torch.Tensor:
    """Gumbel noise of each stream at one step.

    Args:
        streams: one number of 64 bits per row.
        step: how many tokens were drawn before.
        size: of the vocabulary.
        device: where the noise is made.

    Returns:
        float32, shape (rows, size).
    """
    import torch

    first = [_signed(_mixed((number + step * _STEP) % 2**64)) for number in streams]
    x = torch.arange(1, size + 1, device=device).mul_(_signed(_STEP))
    x = x + torch.tensor(first, device=device)[:, None]
    for shift, factor in zip(_SHIFTS, (*_MIX, None), strict=True):
        x ^= _shifted(x, shift)
        if factor is not None:
            x *= _signed(factor)
    # As float32, small numbers keep their digits: these are the large values of the noise.
    uniform = _shifted(x, 11).to(torch.float32).add_(0.5).mul_(2.0**-53).clamp_(max=_LARGEST)
    return uniform.neg_().log1p_().neg_().log_().neg_()


class Sampler(LogitsProcessor):
    """Adds to warped logits the noise after which the largest is a sample.

    `streams`: one per row of the batch (see `stream`). `width`: tokens of the padded prompts.
    """

    def __init__(self, settings: EvaluationSettings, streams: Sequence[int], width: int) -> None:
        from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        self.streams = streams
        self.width = width
        self.warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(settings.temperature)]
        if settings.top_k:
            self.warpers.append(TopKLogitsWarper(settings.top_k))
        if settings.top_p < 1:
            self.warpers.append(TopPLogitsWarper(settings.top_p))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for warper in self.warpers:
            scores = warper(input_ids, scores)
        step = input_ids.shape[1] - self.width
        return scores + gumbel(self.streams, step, scores.shape[1], scores.device)


def _shifted(x: torch.Tensor, places: int) -> torch.Tensor:
    """`x` shifted to the right as if it had no sign."""
    return (x >> places).bitwise_and_(2 ** (64 - places) - 1)


def _mixed(number: int) -> int:
    for shift, factor in zip(_SHIFTS, (*_MIX, 1), strict=True):
        number = ((number ^ (number >> shift)) * factor) % 2**64
    return number


def _signed(number: int) -> int:
    """The 64 bits of `number` as torch's int64."""
    return number - 2**64 if number >= 2**63 else number
