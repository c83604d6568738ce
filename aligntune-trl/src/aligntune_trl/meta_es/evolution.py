"""Evolution strategies (Salimans et al. 2017, arXiv 1703.03864) on a vector of parameters.

Pure mathematics: what a candidate is and how fit it is, the caller knows. Nothing is kept between
iterations but the parameters: the noise of iteration k comes from (seed, k) alone, so a run that is
told the same fitness goes the same way, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aligntune.errors import RunError

__all__ = ["Best", "Iteration", "Outcome", "Strategy", "evolve"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate: its fitness, of which more is better, or why it has none."""

    fitness: float | None
    error: str = ""


@dataclass(frozen=True)
class Strategy:
    """How candidates are drawn, and what is learned from their fitness.

    Attributes:
        seed: of all noise.
        N: candidates per iteration; even.
        sigma: standard deviation of the noise in iteration 0.
        sigma_decay: factor on it per iteration.
        alpha: learning rate.
        mirror_coefficient: share of the parameters that is taken away in each iteration.
        gradient: from `differences` of fitness, or of its `ranks` among the candidates, which lie
            evenly between -1/2 and 1/2 and so do not depend on the scale of fitness.
    """

    seed: int
    N: int
    sigma: float
    sigma_decay: float = 1.0
    alpha: float = 0.01
    mirror_coefficient: float = 0.0
    gradient: Literal["differences", "ranks"] = "differences"

    def first(self, size: int, scale: float) -> Vector:
        """The parameters to start from: scale * N(0, I)."""
        return scale * np.random.default_rng(self.seed).standard_normal(size)

    def sigma_at(self, iteration: int) -> float:
        """The standard deviation of the noise: sigma * sigma_decay ** iteration."""
        return self.sigma * self.sigma_decay**iteration

    def noise(self, iteration: int, size: int) -> Vector:
        """N(0, I) for each pair of candidates: (N / 2, size)."""
        seeds = np.random.SeedSequence(self.seed, spawn_key=(iteration,))
        return np.random.default_rng(seeds).standard_normal((self.N // 2, size))

    def candidates(self, parameters: Vector, iteration: int) -> Vector:
        """(N, size); candidates 2i and 2i + 1 are a pair, parameters ± sigma * noise[i]."""
        step = self.sigma_at(iteration) * self.noise(iteration, parameters.size)
        pairs = np.stack([parameters + step, parameters - step], axis=1)
        return pairs.reshape(self.N, parameters.size)

    def ascent(self, iteration: int, size: int, fitness: Sequence[float | None]) -> Vector:
        """An estimate of the gradient of fitness, smoothed by the noise.

        The mean over pairs of (f+ - f-) / 2 * noise / sigma. A pair of which a candidate failed
        counts for nothing; without any whole pair it is 0.

        Args:
            iteration: whose noise it was.
            size: of the parameters.
            fitness: of each candidate; None for one that failed.
        """
        given = np.array([math.nan if value is None else value for value in fitness], float)
        pairs = given.reshape(self.N // 2, 2)
        whole = np.isfinite(pairs).all(axis=1)
        if not whole.any():
            return np.zeros(size)
        values = pairs[whole]
        if self.gradient == "ranks":
            values = _ranks(values.ravel()).reshape(values.shape)
        differences = (values[:, 0] - values[:, 1]) / 2
        found: Vector = differences @ self.noise(iteration, size)[whole]
        return found / (len(values) * self.sigma_at(iteration))

    def step(self, parameters: Vector, iteration: int, fitness: Sequence[float | None]) -> Vector:
        """The parameters of the next iteration: + alpha * ascent - mirror_coefficient * them."""
        ascent = self.ascent(iteration, parameters.size, fitness)
        return parameters + self.alpha * ascent - self.mirror_coefficient * parameters


def _ranks(values: Vector) -> Vector:
    """Centred ranks, from -1/2 to 1/2; equal values share the mean of their ranks."""
    order = np.sort(values)
    low = np.searchsorted(order, values, side="left")
    high = np.searchsorted(order, values, side="right") - 1
    ranks: Vector = (low + high) / 2 / (values.size - 1) - 0.5
    return ranks


@dataclass
class Best:
    """The fittest candidate so far, and for how many iterations nothing was better."""

    fitness: float = -math.inf
    parameters: Vector = field(default_factory=lambda: np.zeros(0))
    iteration: int = -1
    candidate: int = -1
    stale: int = 0
    mark: float = -math.inf  # the fitness that is to be bettered by `min_delta`

    def tell(
        self,
        iteration: int,
        candidates: Vector,
        fitness: Sequence[float | None],
        min_delta: float,
    ) -> None:
        """Take an iteration in; only what is better by at least `min_delta` is an improvement."""
        for index, value in enumerate(fitness):
            if value is not None and value > self.fitness:
                self.fitness, self.parameters = value, candidates[index].copy()
                self.iteration, self.candidate = iteration, index
        if self.fitness > self.mark and self.fitness - self.mark >= min_delta:
            self.mark, self.stale = self.fitness, 0
        else:
            self.stale += 1


@dataclass(frozen=True)
class Iteration:
    """What happened in an iteration: the parameters it began with, the candidates, their fate."""

    number: int
    sigma: float
    parameters: Vector
    candidates: Vector
    outcomes: Sequence[Outcome]
    best: Best

    @property
    def fitness(self) -> list[float | None]:
        return [outcome.fitness for outcome in self.outcomes]


def evolve(
    strategy: Strategy,
    parameters: Vector,
    evaluate: Callable[[int, Vector], Sequence[Outcome]],
    *,
    iterations: int,
    patience: int,
    min_delta: float,
    tell: Callable[[Iteration], None] = lambda iteration: None,
) -> tuple[Best, Vector]:
    """Run the strategy; return the fittest candidate, and the parameters after the last step.

    Args:
        strategy: how.
        parameters: to start from.
        evaluate: given the number of the iteration and its candidates, what became of each.
        iterations: how many, at most.
        patience: stop after so many iterations without improvement.
        min_delta: how much better counts as improvement.
        tell: called at the end of each iteration.

    Raises:
        RunError: if all candidates of an iteration fail; names what each of them said.
    """
    best = Best()
    for number in range(iterations):
        candidates = strategy.candidates(parameters, number)
        outcomes = evaluate(number, candidates)
        fitness = [outcome.fitness for outcome in outcomes]
        if all(value is None for value in fitness):
            raise RunError(_all_failed(number, outcomes))
        best.tell(number, candidates, fitness, min_delta)
        tell(Iteration(number, strategy.sigma_at(number), parameters, candidates, outcomes, best))
        parameters = strategy.step(parameters, number, fitness)
        if best.stale >= patience:
            break
    return best, parameters


def _all_failed(number: int, outcomes: Sequence[Outcome]) -> str:
    said: dict[str, list[int]] = {}
    for index, outcome in enumerate(outcomes):
        said.setdefault(outcome.error, []).append(index + 1)
    lines = [f"{', '.join(map(str, who))}: {error}" for error, who in said.items()]
    return "\n    ".join([f"all candidates of iteration {number + 1} failed:", *lines])
