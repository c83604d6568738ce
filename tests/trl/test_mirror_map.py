"""The neural mirror map against loops over its 126 units, from the formulas, in 60 digits."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from aligntune.errors import ConfigError
from aligntune_trl.neural_mirror_grpo import mirror_map
from aligntune_trl.neural_mirror_grpo.mirror_map import SIZE, MirrorMap

BLOCKS, EACH = 6, 21
SHIFT = Decimal("1e-3")
PROBABILITIES = st.floats(0.0, 1.0).map(lambda y: max(y, 1e-10))
MAPS = st.builds(
    lambda scale, seed: MirrorMap.initial(10**scale, seed),
    st.floats(-3, 0.7),
    st.integers(0, 10_000),
)


def softplus(x: float) -> Decimal:
    return Decimal(max(x, 0.0) + math.log1p(math.exp(-abs(x))))


def sigma(block: int, u: Decimal) -> Decimal:
    p = max(u, Decimal(0))
    third = p ** (Decimal(1) / 3) if p else p
    return [u**3, p**2, p.sqrt(), third, (p + SHIFT).ln(), u.exp()][block]


def primitive(block: int, u: Decimal) -> Decimal:
    """A function whose derivative is sigma, also where u is negative."""
    p = max(u, Decimal(0))
    z = p + SHIFT
    logarithmic = z * z.ln() - z + SHIFT.ln() * min(u, Decimal(0))
    four_thirds = p ** (Decimal(4) / 3) if p else p
    return [
        u**4 / 4,
        p**3 / 3,
        p * p.sqrt() * 2 / 3,
        four_thirds * 3 / 4,
        logarithmic,
        u.exp(),
    ][block]


def units(raw: np.ndarray) -> list[tuple[int, Decimal, Decimal, Decimal]]:
    """Block, v, w and b of each unit."""
    v, w, b = raw[:126], raw[126:252], raw[252:378]
    return [(j // EACH, softplus(v[j]), softplus(w[j]), Decimal(float(b[j]))) for j in range(126)]


def slope(raw: np.ndarray, at: float) -> float:
    """h'(y), unit by unit."""
    y, a, c = Decimal(at), softplus(raw[378]), softplus(raw[379])
    total = a * y + c * y.ln()
    return float(total + sum(v * sigma(block, w * y + b) for block, v, w, b in units(raw)))


def divergence(raw: np.ndarray, at: float, start: float) -> float:
    """D(y, y0), from the primitives; where w is nothing a unit's is sigma y."""
    with localcontext() as context:
        context.prec = 60  # so that differences of next to nothing are exact
        y, y0 = Decimal(at), Decimal(start)
        a, c = softplus(raw[378]), softplus(raw[379])
        total = a / 2 * (y - y0) ** 2 + c * (y * (y / y0).ln() - (y - y0))
        for block, v, w, b in units(raw):
            there = sigma(block, w * y0 + b)
            rise = there * (y - y0)
            if w:
                rise = (primitive(block, w * y + b) - primitive(block, w * y0 + b)) / w
            total += v * (rise - there * (y - y0))
        return float(total)


def number(y: float) -> torch.Tensor:
    return torch.tensor(y, dtype=torch.float64)


def vector(seed: int, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=SIZE)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("y", "y0"), [(0.9, 0.2), (0.05, 0.6), (1.0, 1e-10), (1e-4, 0.99)])
def test_the_divergence_is_that_of_a_loop_over_the_units(seed: int, y: float, y0: float) -> None:
    raw = vector(seed)
    mirror = MirrorMap.from_vector(torch.tensor(raw))
    expected = divergence(raw, y, y0)
    assert mirror.divergence(number(y), number(y0)).item() == pytest.approx(expected, rel=1e-9)
    assert mirror.h_prime(number(y)).item() == pytest.approx(slope(raw, y), rel=1e-12)
    by_h = mirror.h(number(y)) - mirror.h(number(y0)) - slope(raw, y0) * (y - y0)
    assert by_h.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("b", [-0.4, 0.0, 0.3], ids=["crosses 0", "from 0", "positive"])
@pytest.mark.parametrize("w", [0.8, 1e-6, 0.0], ids=["w", "small w", "no w"])
def test_each_block_alone(block: int, b: float, w: float) -> None:
    """Of negative and of positive u, and of a w so small that the primitive is sigma y."""
    raw = np.full(SIZE, -800.0)  # softplus makes it 0
    raw[252:378] = b
    unit = block * EACH
    raw[unit] = 1.0
    raw[126 + unit] = -800.0 if w == 0 else math.log(math.expm1(w))
    mirror = MirrorMap.from_vector(torch.tensor(raw))
    for y, y0 in ((0.9, 0.2), (0.1, 0.7), (0.4, 0.3)):
        expected = divergence(raw, y, y0)
        found = mirror.divergence(number(y), number(y0)).item()
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-50)
        assert mirror.h_prime(number(y)).item() == pytest.approx(slope(raw, y), rel=1e-9)
        assert (found > 0) == (expected > 1e-50)


@given(MAPS, PROBABILITIES, PROBABILITIES)
@settings(max_examples=300, deadline=None)
def test_a_divergence_is_positive_except_of_a_probability_from_itself(
    mirror: MirrorMap, y: float, y0: float
) -> None:
    assert mirror.divergence(number(y), number(y)).item() == 0
    found = mirror.divergence(number(y), number(y0)).item()
    assert found >= 0
    assert found > 0 or abs(y - y0) <= 1e-6 * y0
    in_single = torch.tensor([y, y0], dtype=torch.float32)
    assert mirror.divergence(in_single, in_single.flip(0)).min().item() >= 0


@pytest.mark.parametrize("moved", [1e-2, 1e-5, 1e-9, -1e-9])
@pytest.mark.parametrize("y0", [0.9, 0.3, 1e-4, 1e-8])
def test_close_to_the_reference_to_one_part_in_a_million(y0: float, moved: float) -> None:
    """Where the differences of the definition would be nothing but rounding."""
    y = y0 * (1 + moved)
    for seed, scale in ((0, 0.01), (1, 1.0)):
        raw = vector(seed, scale)
        found = MirrorMap.from_vector(torch.tensor(raw)).divergence(number(y), number(y0)).item()
        assert found == pytest.approx(divergence(raw, y, y0), rel=1e-6)


@given(MAPS, PROBABILITIES, PROBABILITIES)
@settings(max_examples=200, deadline=None)
def test_the_derivative_grows(mirror: MirrorMap, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert mirror.h_prime(number(low)).item() <= mirror.h_prime(number(high)).item()


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_the_function(seed: int) -> None:
    """By difference quotients: h' is the derivative of h, and h'(y) - h'(y0) that of D."""
    mirror = MirrorMap.from_vector(torch.tensor(vector(seed, 2.0)))
    generator = torch.Generator().manual_seed(seed)
    y, y0 = (torch.rand(2, 40, generator=generator, dtype=torch.float64) + 1e-3).unbind()
    y.requires_grad_()
    assert torch.autograd.gradcheck(mirror.h, (y,))
    assert torch.autograd.gradcheck(lambda at: mirror.divergence(at, y0), (y,))
    (of_h,) = torch.autograd.grad(mirror.h(y).sum(), y)
    torch.testing.assert_close(of_h, mirror.h_prime(y))


def test_gradients_reach_the_policy_alone_and_are_finite_where_units_bend() -> None:
    raw = torch.zeros(SIZE, requires_grad=True)
    mirror = MirrorMap.from_vector(raw)
    y = torch.tensor([0.0, 1e-12, 1e-10, 0.5, 1.0], requires_grad=True)
    y0 = torch.tensor([0.5, 0.5, 0.0, 0.5, 1e-3], requires_grad=True)
    found = mirror.divergence(y, y0)
    found.sum().backward()
    assert found.isfinite().all()
    assert y.grad is not None
    assert y.grad.isfinite().all()
    assert y.grad[3] == 0
    assert y.grad[4] > 0
    assert y.grad[0] == 0, "what is taken to be 1e-10 does not move"
    assert raw.grad is None
    assert y0.grad is None


def test_probabilities_are_at_least_the_floor() -> None:
    mirror = MirrorMap.initial(0.5, 3)
    for low in (0.0, 1e-300, 1e-11):
        for pair in ((low, 0.3), (0.3, low)):
            floored = [max(y, 1e-10) for y in pair]
            found = mirror.divergence(number(pair[0]), number(pair[1]))
            assert found == mirror.divergence(number(floored[0]), number(floored[1]))


def test_any_shape_and_precision() -> None:
    mirror = MirrorMap.initial(0.01, 0)
    y, y0 = torch.rand(2, 3, 4, 5).unbind()
    found = mirror.divergence(y, y0)
    assert found.shape == (3, 4, 5)
    assert found.dtype == torch.float32
    whole = mirror.divergence(y.double(), y0.double())
    torch.testing.assert_close(found.double(), whole, rtol=1e-6, atol=0)


def test_a_map_is_drawn_from_its_seed_before_softplus() -> None:
    drawn = MirrorMap.initial(0.5, 7).vector()
    assert torch.equal(drawn, MirrorMap.initial(0.5, 7).vector())
    assert not torch.equal(drawn, MirrorMap.initial(0.5, 8).vector())
    torch.testing.assert_close(drawn, 5 * MirrorMap.initial(0.1, 7).vector())
    assert abs(drawn.std().item() - 0.5) < 0.1
    assert (drawn < 0).any()


def test_a_map_that_was_saved_is_the_same(tmp_path: Path) -> None:
    mirror = MirrorMap.initial(1.0, 1)
    mirror.save(tmp_path / "map.safetensors")
    assert torch.equal(MirrorMap.load(tmp_path / "map.safetensors").vector(), mirror.vector())


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"phi": torch.zeros(379)}, r"float32 of shape \(379,\)"),
        ({"phi": torch.zeros(1, 380)}, r"of shape \(1, 380\)"),
        ({"phi": torch.zeros(380, dtype=torch.int64)}, "380 real numbers"),
        ({"phi": torch.full((380,), float("nan"))}, "not every number .* is finite"),
        ({"weights": torch.zeros(380)}, "holds weights"),
        ({"phi": torch.zeros(380), "more": torch.zeros(1)}, "holds more, phi"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, tensors: Any, said: str) -> None:
    save_file(tensors, tmp_path / "map.safetensors")
    with pytest.raises(ConfigError, match=said):
        MirrorMap.load(tmp_path / "map.safetensors")


def test_files_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    (tmp_path / "map.safetensors").write_text("380 numbers")
    for name in ("map.safetensors", "none.safetensors", "."):
        with pytest.raises(ConfigError, match="is no mirror map in a safetensors file"):
            MirrorMap.load(tmp_path / name)


@given(PROBABILITIES, PROBABILITIES)
@settings(max_examples=100, deadline=None)
def test_the_closed_forms(y: float, y0: float) -> None:
    of_logs = mirror_map.squared_log_probability(number(y), number(y0)).item()
    assert of_logs == pytest.approx((math.log(y) - math.log(y0)) ** 2 / 2, rel=1e-9, abs=1e-15)
    of_both = mirror_map.squared_probability(number(y), number(y0)).item()
    assert of_both == pytest.approx((y - y0) ** 2 / 2, abs=1e-15)


def test_a_map_of_a_alone_is_the_squared_probability() -> None:
    raw = torch.full((SIZE,), -800.0)
    raw[378] = math.log(math.e - 1)  # softplus makes it 1
    y, y0 = torch.rand(2, 10, dtype=torch.float64).unbind()
    torch.testing.assert_close(
        MirrorMap.from_vector(raw).divergence(y, y0), mirror_map.squared_probability(y, y0)
    )
