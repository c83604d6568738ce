"""The evolution strategy: its formulas in loops over numbers, what it climbs, what counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from aligntune.errors import RunError
from aligntune_trl.meta_es.evolution import Best, Iteration, Outcome, Strategy, evolve

SIZE = 3


def strategy(**more: Any) -> Strategy:
    return Strategy(**{"seed": 4, "N": 6, "sigma": 0.3, "sigma_decay": 0.5, **more})


def test_candidates_are_pairs_around_the_parameters_and_their_noise_decays() -> None:
    middle = np.array([1.0, -2.0, 0.5])
    for iteration in range(3):
        found = strategy().candidates(middle, iteration)
        noise = strategy().noise(iteration, SIZE)
        assert found.shape == (6, SIZE)
        for pair in range(3):
            for place in range(SIZE):
                step = 0.3 * 0.5**iteration * noise[pair, place]
                assert found[2 * pair, place] == pytest.approx(middle[place] + step, abs=1e-12)
                assert found[2 * pair + 1, place] == pytest.approx(middle[place] - step, abs=1e-12)


def test_the_noise_of_an_iteration_comes_from_the_seed_and_its_number_alone() -> None:
    one = strategy()
    one.noise(0, SIZE)
    one.first(SIZE, 1.0)
    assert (one.noise(2, SIZE) == strategy(sigma=9.0, alpha=2.0).noise(2, SIZE)).all()
    drawn = [one.noise(0, SIZE), one.noise(1, SIZE), strategy(seed=5).noise(0, SIZE)]
    drawn.append(np.tile(one.first(SIZE, 1.0), (3, 1)))
    for index, some in enumerate(drawn):
        for others in drawn[:index]:
            assert (np.abs(some - others) > 1e-6).all()
    assert abs(np.mean(Strategy(0, 20_000, 1.0).noise(7, 1))) < 0.03
    assert np.std(Strategy(0, 20_000, 1.0).noise(7, 1)) == pytest.approx(1, abs=0.03)


def test_the_first_parameters_have_the_scale_that_is_asked_for() -> None:
    assert np.std(strategy().first(10_000, 0.01)) == pytest.approx(0.01, rel=0.05)
    assert (strategy().first(5, 0.0) == 0).all()


FITNESS: tuple[float | None, ...] = (0.9, 0.1, None, 0.8, -3.0, -2.5)


@pytest.mark.parametrize("iteration", [0, 2])
def test_a_step_is_that_of_the_formula(iteration: int) -> None:
    one = strategy(alpha=0.7, mirror_coefficient=0.1)
    middle, noise, sigma = np.array([1.0, -2.0, 0.5]), one.noise(iteration, SIZE), 0.3
    sigma *= 0.5**iteration
    found = one.step(middle, iteration, FITNESS)
    for place in range(SIZE):
        ascent, whole = 0.0, 0
        for pair in range(3):
            plus, minus = FITNESS[2 * pair], FITNESS[2 * pair + 1]
            if plus is not None and minus is not None:
                ascent += (plus - minus) / 2 * noise[pair, place] / sigma
                whole += 1
        expected = middle[place] + 0.7 * ascent / whole - 0.1 * middle[place]
        assert found[place] == pytest.approx(expected, abs=1e-12)


def test_ranks_lie_evenly_between_minus_and_plus_a_half_and_ties_share_one() -> None:
    one, noise = strategy(gradient="ranks"), strategy().noise(0, SIZE)
    # Of the two whole pairs, 0.9 is first and -3.0 last; the failed candidate's partner is nowhere.
    ranks = {0.9: 0.5, 0.1: 1 / 6, -2.5: -1 / 6, -3.0: -0.5}
    expected = (ranks[0.9] - ranks[0.1]) / 2 * noise[0] + (ranks[-3.0] - ranks[-2.5]) / 2 * noise[2]
    assert one.ascent(0, SIZE, FITNESS) == pytest.approx(expected / 2 / 0.3, abs=1e-12)
    stretched = [None if value is None else 1000 * value - 7 for value in FITNESS]
    assert (one.ascent(0, SIZE, stretched) == one.ascent(0, SIZE, FITNESS)).all()
    assert one.ascent(0, SIZE, [0.4] * 6) == pytest.approx(np.zeros(SIZE), abs=1e-15)


def test_a_failed_candidate_is_not_one_of_fitness_0() -> None:
    """Where all fitness is negative, 0 would be the best there is."""
    failed: list[float | None] = [-1.0, -2.0, None, -5.0, None, None]
    alone = Strategy(4, 6, 0.3).ascent(0, SIZE, failed)
    noise = Strategy(4, 6, 0.3).noise(0, SIZE)
    assert alone == pytest.approx(0.5 * noise[0] / 0.3, abs=1e-12)
    best = Best()
    best.tell(0, np.arange(6.0).reshape(6, 1), failed, 0.0)
    assert (best.fitness, best.candidate) == (-1.0, 0)
    assert (Strategy(4, 2, 0.3).ascent(0, SIZE, [None, 3.0]) == 0).all()


def outcomes(values: Sequence[float]) -> list[Outcome]:
    return [Outcome(float(value)) for value in values]


TARGET = np.array([2.0, -1.0, 0.5])


@pytest.mark.parametrize("gradient", ["differences", "ranks"])
def test_it_climbs_a_hill(gradient: Any) -> None:
    def hill(iteration: int, candidates: Any) -> list[Outcome]:
        return outcomes(-((candidates - TARGET) ** 2).sum(axis=1))

    alpha = {"differences": 0.1, "ranks": 0.05}[gradient]
    one = Strategy(0, 10, 0.2, 0.99, alpha, 0.0, gradient)
    begin = np.zeros(SIZE)
    best, last = evolve(one, begin, hill, iterations=100, patience=100, min_delta=0.0)
    assert np.abs(last - TARGET).max() < 0.15
    assert best.fitness > -0.05
    down, _ = evolve(
        Strategy(0, 10, 0.2, 0.99, -alpha, 0.0, gradient),
        begin,
        hill,
        iterations=100,
        patience=100,
        min_delta=0.0,
    )
    assert down.fitness < -3, "a step the other way climbs too?"


def test_it_stops_after_so_many_iterations_without_so_much_improvement() -> None:
    told: list[Iteration] = []
    heights = [0.0, 0.1, 0.1005, 0.1008, 0.102, 0.102, 0.102, 0.9]

    def evaluate(iteration: int, candidates: Any) -> list[Outcome]:
        return outcomes([heights[iteration]] + [-1.0] * 5)

    run = {"iterations": 8, "min_delta": 0.001, "tell": told.append}
    best, _ = evolve(strategy(), np.zeros(SIZE), evaluate, patience=2, **run)
    # 0.1005 and 0.1008 are no improvement on 0.1.
    assert [iteration.number for iteration in told] == [0, 1, 2, 3]
    assert (best.fitness, best.iteration, best.candidate) == (0.1008, 3, 0)
    told.clear()
    best, _ = evolve(strategy(), np.zeros(SIZE), evaluate, patience=3, **run)
    assert len(told) == 8, "0.102 is better than 0.1 by more than 0.001"
    assert best.fitness == 0.9
    best, _ = evolve(strategy(), np.zeros(SIZE), evaluate, patience=3, **run | {"iterations": 1})
    assert best.iteration == 0


def test_where_all_candidates_fail_the_error_names_what_each_said() -> None:
    def evaluate(iteration: int, candidates: Any) -> list[Outcome]:
        said = ["out of memory", "out of memory", "a reward raised"] * 2
        return [Outcome(None, text) for text in said]

    with pytest.raises(RunError) as caught:
        evolve(strategy(), np.zeros(2), evaluate, iterations=3, patience=3, min_delta=0.0)
    assert "all candidates of iteration 1 failed" in str(caught.value)
    assert "1, 2, 4, 5: out of memory" in str(caught.value)
    assert "3, 6: a reward raised" in str(caught.value)


def test_what_is_told_the_same_fitness_goes_the_same_way_to_the_last_bit() -> None:
    def evaluate(iteration: int, candidates: Any) -> list[Outcome]:
        return outcomes(np.sin(candidates).sum(axis=1))

    def parts(**more: Any) -> tuple[list[Any], Any]:
        told: list[Iteration] = []
        _, last = evolve(
            strategy(**more), np.ones(5), evaluate,
            iterations=4, patience=9, min_delta=0.0, tell=told.append,
        )  # fmt: skip
        return [iteration.parameters.tolist() for iteration in told], last.tolist()

    assert parts() == parts()
    assert parts() != parts(seed=5)
    assert all(math.isfinite(value) for value in parts()[1])
