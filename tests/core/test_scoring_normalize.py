"""Normalized rewards against the textbook formulas, and where they stand among the other steps."""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligntune.config import load_config
from aligntune.errors import ConfigError, RewardError
from aligntune.plan import make_plan
from aligntune.scoring import Part, RewardBatch, RewardFunction, Scorer
from aligntune.scoring.normalize import Moments


class Given(RewardFunction):
    """Returns the column `value`, which lies between -2 and 6."""

    range = (-2.0, 6.0)

    def compute(self, text: str, value: float | None) -> float | None:
        return value


def scorer(**options: Any) -> Scorer:
    return Scorer([Part("given", Given(), **options)])


def totals(scorer: Scorer, values: list[Any], prompts: list[Any] | None = None) -> list[float]:
    texts = ["text"] * len(values)
    return scorer.score(RewardBatch(texts, prompts, columns={"value": values})).totals


def z(values: list[float], seen: list[float]) -> list[float]:
    deviation = statistics.pstdev(seen)
    return [(v - statistics.fmean(seen)) / deviation if deviation else 0.0 for v in values]


numbers = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=1, max_size=6)


@given(st.lists(numbers, min_size=1, max_size=5))
def test_running_moments_are_those_of_everything_so_far(batches: list[list[float]]) -> None:
    running = scorer(normalize=True)
    seen: list[float] = []
    for values in batches:
        seen += values
        found = totals(running, values)
        assert found == pytest.approx(z(values, seen), abs=1e-6, rel=1e-6)
    moments = running.running.moments["given"]
    assert moments.count == len(seen)
    assert moments.mean == pytest.approx(statistics.fmean(seen), abs=1e-9)
    assert moments.deviation == pytest.approx(statistics.pstdev(seen), abs=1e-9)


def test_large_values_do_not_cancel() -> None:
    values = [1e9 + x for x in (4, 7, 13, 16)]  # the textbook's example of cancellation
    assert Moments.of(values[:2]).with_more(values[2:]).deviation == pytest.approx(math.sqrt(22.5))


@pytest.mark.parametrize("how", [True, "batch", "group"])
@pytest.mark.parametrize("value", [0.1, -3.7, 1e12])
def test_a_constant_gives_nothing(how: Any, value: float) -> None:
    constant = scorer(normalize=how)
    for _ in range(3):
        assert totals(constant, [value] * 3, ["p", "p", "q"]) == [0.0, 0.0, 0.0]


def test_the_batch_and_the_group() -> None:
    values = [1.0, 2.0, 6.0, 0.0, 4.0]
    prompts = ["a", "b", "a", "b", "c"]
    assert totals(scorer(normalize="batch"), values) == pytest.approx(z(values, values))
    assert totals(scorer(normalize="group"), values, prompts) == [-1.0, 1.0, 1.0, -1.0, 0.0]
    talks = [[{"role": "user", "content": prompt}] for prompt in prompts]
    assert totals(scorer(normalize="group"), values, talks) == [-1.0, 1.0, 1.0, -1.0, 0.0]
    with pytest.raises(RewardError, match="'given': normalize is 'group', and no prompts"):
        totals(scorer(normalize="group"), values)


def test_the_declared_range() -> None:
    assert totals(scorer(normalize="range"), [-2.0, 0.0, 6.0]) == [0.0, 0.25, 1.0]

    class Endless(Given):
        range = (0.0, math.inf)

    with pytest.raises(ConfigError, match="declares the range 0 to inf; normalize with true"):
        Part("endless", Endless(), normalize="range")


def test_normalize_stands_between_the_raw_value_and_the_clip() -> None:
    values = [0.0, 0.0, 0.0, 10.0]
    part = Part("given", Given(), weight=2.0, normalize="batch", clip=1.5)
    assert totals(Scorer([part]), values)[3] == 3.0  # (10 - 2.5) / 4.33 = 1.73, clipped, times 2
    shielded = Part("given", Given(), normalize="batch", shield=True, shield_threshold=5.0)
    both = Scorer([shielded, Part("more", Given(), 10.0)])
    found = both.score(RewardBatch(["t"] * 4, columns={"value": values}))
    # The shield looks at raw values: 10 is above its threshold though normalized it is 1.73.
    assert found.totals[3] > 100
    assert found.raw["given"] == values


def test_rows_that_a_reward_does_not_apply_to_do_not_count() -> None:
    parts = [Part("given", Given(), normalize=True), Part("always", Given(), 0.0)]
    both = Scorer(parts)
    reward: Any = both.parts[1].reward
    reward.compute = lambda text, value: 0.0
    assert totals(both, [1.0, None, 3.0]) == [-1.0, 0.0, 1.0]
    assert both.running.moments["given"].count == 2


def test_evaluation_is_scaled_and_does_not_count() -> None:
    running = scorer(normalize=True)
    totals(running, [0.0, 2.0])
    running.running.learning = lambda: False
    assert totals(running, [5.0, 5.0]) == [4.0, 4.0]
    assert running.running.moments["given"] == Moments(2, 1.0, 2.0)


def test_the_state_goes_through_json_exactly() -> None:
    first, second = scorer(normalize=True), scorer(normalize=True)
    totals(first, [0.1, 0.7, 1 / 3])
    second.running.load_state_dict(json.loads(json.dumps(first.running.state_dict())))
    more = [0.2, 1e-3]
    assert totals(second, more) == totals(first, more)
    with pytest.raises(
        ValueError, match=r"the state is of the rewards given, and this run .* none"
    ):
        scorer().running.load_state_dict(first.running.state_dict())


@pytest.mark.usefixtures("toy")
def test_processes_that_would_each_normalize_for_themselves_are_refused() -> None:
    settings = {
        "algorithm": "toy-rl",
        "model": "m",
        "dataset": "d",
        "peft_enabled": False,
        "distributed": {"num_processes": 2, "backend": "ddp"},
    }
    make_plan(load_config({**settings, "rewards": [{"type": "praise", "normalize": "range"}]}))
    with pytest.raises(ConfigError, match=r"rewards\.0\.normalize: each of 2 processes"):
        make_plan(load_config({**settings, "rewards": [{"type": "praise", "normalize": True}]}))
