"""Divergences of a policy from its reference, of one family: those that a mirror map defines.

A mirror map is a convex function h of a probability y. Its Bregman divergence
D(y, y0) = h(y) - h(y0) - h'(y0) (y - y0) is 0 where y = y0 and positive elsewhere. The neural
mirror map (Alfano et al. 2025, arXiv 2402.05187; Yuan et al. 2026, arXiv 2602.04380) has 126 units:

    h'(y) = sum_j v_j sigma_j(w_j y + b_j) + a y + c log y

in six blocks of 21, of sigma = u^3, (u)+^2, (u)+^(1/2), (u)+^(1/3), log((u)+ + 1e-3) and e^u. It is
convex because every sigma grows and v, w, a and c are softplus of what is stored; for the same
reason the square is of u's positive part. The 380 stored numbers are, in this order, v, w and b
(126 each), a and c, before softplus: that is the vector, and the file.

Nothing here is the difference of large numbers: each block's part of D is written as a sum of terms
that are never negative, and computed in float64. Gradients reach y alone; the map is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import softplus

from aligntune.errors import ConfigError

__all__ = ["FLOOR", "SIZE", "MirrorMap", "squared_log_probability", "squared_probability"]

UNITS = 126
SIZE = 3 * UNITS + 2
FLOOR = 1e-10  # no probability is taken to be less
SHIFT = 1e-3  # of the logarithmic block
TINY = torch.finfo(torch.float64).tiny
KEY = "phi"  # of the tensor in a file


def squared_log_probability(y: Tensor, y0: Tensor) -> Tensor:
    """(log y - log y0)^2 / 2, of probabilities of any shape."""
    return (y.clamp(min=FLOOR).log() - y0.clamp(min=FLOOR).log()).square() / 2


def squared_probability(y: Tensor, y0: Tensor) -> Tensor:
    """(y - y0)^2 / 2, of probabilities of any shape; the divergence of h(y) = y^2 / 2."""
    return (y - y0).square() / 2


class MirrorMap:
    """A neural mirror map, frozen.

    Args:
        raw: the 380 numbers before softplus, in the order of this module's docstring.
    """

    def __init__(self, raw: Tensor) -> None:
        if raw.shape != (SIZE,):
            raise ValueError(f"a mirror map has {SIZE} numbers, not shape {tuple(raw.shape)}")
        self._raw = raw.detach().to("cpu", torch.float64, copy=True)
        v, w, b, a, c = torch.split(self._raw, [UNITS, UNITS, UNITS, 1, 1])
        # A weight that softplus sends to 0 makes its unit constant, in the limit too: adds no D.
        self._v, self._w, self._b = softplus(v), softplus(w).clamp(min=TINY), b
        self._a, self._c = softplus(a), softplus(c)

    @classmethod
    def initial(cls, scale: float, seed: int) -> MirrorMap:
        """A random map: the stored numbers are normal, with mean 0 and deviation `scale`."""
        generator = torch.Generator().manual_seed(seed)
        return cls(scale * torch.randn(SIZE, generator=generator, dtype=torch.float64))

    @classmethod
    def from_vector(cls, raw: Tensor) -> MirrorMap:
        """The map of these 380 stored numbers."""
        return cls(raw)

    def vector(self) -> Tensor:
        """The 380 stored numbers, before softplus; float64, on the CPU."""
        return self._raw.clone()

    @classmethod
    def load(cls, path: str | Path) -> MirrorMap:
        """Read a map that `save` wrote.

        Raises:
            ConfigError: if it is no such file, or holds something else than 380 finite numbers.
        """
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"{path} is no mirror map in a safetensors file: {error}") from error
        raw = tensors.get(KEY)
        if raw is None or len(tensors) != 1:
            named = ", ".join(sorted(tensors)) or "nothing"
            raise ConfigError(f"{path} holds {named}; a mirror map is one tensor, `{KEY}`")
        if raw.shape != (SIZE,) or not raw.is_floating_point():
            found = f"{raw.dtype} of shape {tuple(raw.shape)}".removeprefix("torch.")
            raise ConfigError(f"{path}: `{KEY}` is {found}; a mirror map has {SIZE} real numbers")
        if not raw.isfinite().all():
            raise ConfigError(f"{path}: not every number of the mirror map is finite")
        return cls(raw)

    def save(self, path: str | Path) -> None:
        """Write the stored numbers as one safetensors file."""
        save_file({KEY: self._raw}, path)

    def h_prime(self, y: Tensor) -> Tensor:
        """The derivative of h, for probabilities of any shape; it grows with y. No gradient."""
        return self._h_prime(_clamped(y)).to(y.dtype)

    def h(self, y: Tensor) -> Tensor:
        """The convex function itself, for probabilities of any shape; 0 at 0."""
        at = _clamped(y)
        value = self._units(at, torch.zeros_like(at)) + self._a.to(at.device) / 2 * at.square()
        value += self._c.to(at.device) * (at * at.log() - at)
        for block, v, _, b in self._blocks(at):
            value += at * (v * block.sigma(b)).sum()
        return _with_slope(y, value, self._h_prime(at))

    def divergence(self, y: Tensor, y0: Tensor) -> Tensor:
        """D(y, y0) >= 0, for the policy's and the reference's probabilities, of one shape."""
        at, start = _clamped(y), _clamped(y0)
        moved = at - start
        value = self._units(at, start) + self._a.to(at.device) / 2 * moved.square()
        value += self._c.to(at.device) * start * _beyond_linear_log(moved / start)
        return _with_slope(y, value, self._h_prime(at) - self._h_prime(start))

    def _h_prime(self, y: Tensor) -> Tensor:
        total = self._a.to(y.device) * y + self._c.to(y.device) * y.log()
        for block, v, w, b in self._blocks(y):
            total += (v * block.sigma(w * y.unsqueeze(-1) + b)).sum(dim=-1)
        return total

    def _units(self, y: Tensor, y0: Tensor) -> Tensor:
        """What the 126 units add to D."""
        total = torch.zeros_like(y)
        for block, v, w, b in self._blocks(y):
            step = w * (y - y0).unsqueeze(-1)
            part = block.divergence(w * y0.unsqueeze(-1) + b, step)
            total += (v / w * part).sum(dim=-1)
        return total

    def _blocks(self, like: Tensor) -> list[tuple[_Block, Tensor, Tensor, Tensor]]:
        """Each block, with its v, w and b on the same device; a block's units are 21."""
        ours = (part.to(like.device).chunk(len(_BLOCKS)) for part in (self._v, self._w, self._b))
        return list(zip(_BLOCKS, *ours, strict=True))


def _clamped(y: Tensor) -> Tensor:
    return y.detach().double().clamp(min=FLOOR)


def _with_slope(y: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """`value`, whose gradient in y is `slope`; where y is clamped it has none."""
    slope = torch.where(y.detach() < FLOOR, 0.0, slope)
    return value.to(y.dtype) + slope.to(y.dtype) * (y - y.detach())


class _Block(NamedTuple):
    """A function sigma that grows, and the divergence of its primitive S.

    `divergence(u0, step)` is S(u0 + step) - S(u0) - sigma(u0) step.
    """

    sigma: Callable[[Tensor], Tensor]
    divergence: Callable[[Tensor, Tensor], Tensor]


def _of_positive_part(
    sigma: Callable[[Tensor], Tensor], divergence: Callable[[Tensor, Tensor], Tensor]
) -> _Block:
    """The block of sigma((u)+), from that of sigma on positive numbers.

    Below 0 sigma is constant, and S a straight line.
    """

    def whole(u0: Tensor, step: Tensor) -> Tensor:
        start, missing = u0.clamp(min=0), (-u0).clamp(min=0)
        moved = torch.maximum(step - missing, -start)  # of the positive part
        below = (-(u0 + step)).clamp(min=0)
        rise = sigma(start) - sigma(torch.zeros_like(start))
        return divergence(start, moved) + rise * below

    return _Block(lambda u: sigma(u.clamp(min=0)), whole)


def _cube(u0: Tensor, step: Tensor) -> Tensor:
    u = u0 + step
    return step.square() * (u.square() + 2 * u * u0 + 3 * u0.square()) / 4


def _square(p0: Tensor, step: Tensor) -> Tensor:
    return step.square() * (step + 3 * p0) / 3


def _root(p0: Tensor, step: Tensor) -> Tensor:
    q0, q = p0.sqrt(), (p0 + step).sqrt()
    moved = step / (q + q0).clamp(min=TINY)
    return moved.square() * (2 * q + q0) / 3


def _cube_root(p0: Tensor, step: Tensor) -> Tensor:
    r0, r = p0.pow(1 / 3), (p0 + step).pow(1 / 3)
    moved = step / (r.square() + r * r0 + r0.square()).clamp(min=TINY)
    return moved.square() * (3 * r.square() + 2 * r * r0 + r0.square()) / 4


def _log(p0: Tensor, step: Tensor) -> Tensor:
    z0 = p0 + SHIFT
    return z0 * _beyond_linear_log(step / z0)


def _exp(u0: Tensor, step: Tensor) -> Tensor:
    series = step.square() / 2 * (1 + step / 3 + step.square() / 12)
    return u0.exp() * torch.where(step.abs() < 1e-4, series, step.expm1() - step)


def _beyond_linear_log(t: Tensor) -> Tensor:
    """(1 + t) log(1 + t) - t, for t > -1: at least 0, and t^2 / 2 near 0."""
    series = t.square() / 2 * (1 - t / 3 + t.square() / 6)
    return torch.where(t.abs() < 1e-4, series, (1 + t) * t.log1p() - t)


_BLOCKS = (
    _Block(lambda u: u**3, _cube),
    _of_positive_part(torch.square, _square),
    _of_positive_part(torch.sqrt, _root),
    _of_positive_part(lambda p: p.pow(1 / 3), _cube_root),
    _of_positive_part(lambda p: (p + SHIFT).log(), _log),
    _Block(torch.exp, _exp),
)
