"""No forged solution earns more than the lowest value, while an honest one earns the highest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forged import FORGED, HONEST, STREAMS, TESTS, fools_naive, fools_script

from aligntune_rewards import CodeExecutionReward
from aligntune_rewards.sandbox import Limits, Sandbox
from aligntune_rewards.sandbox.launch import Tier
from aligntune_rewards.sandbox.tiers import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
ECHO = "\nprint(mystery(int(input())))\n"


@pytest.fixture(scope="module")
def reward() -> Iterator[CodeExecutionReward]:
    # A share is more than nothing for each test that is passed: what earns 0 here, earns it always.
    made = CodeExecutionReward("share", timeout=1.5)
    made.load()
    yield made
    made.close()


@pytest.mark.parametrize("tests", TESTS)
def test_an_honest_solution_earns_the_highest_value(
    reward: CodeExecutionReward, tests: str
) -> None:
    assert reward.compute(HONEST, TESTS[tests], None, "mystery") == 1.0
    assert reward.compute(HONEST + ECHO, STREAMS) == 1.0


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_solution_earns_the_lowest_value(reward: CodeExecutionReward, name: str) -> None:
    source = FORGED[name].source
    if name.startswith("hangs"):
        reward = CodeExecutionReward("share", timeout=0.5)
    values = {
        tests: reward.compute(f"```python\n{source}\n```", TESTS[tests], None, "mystery")
        for tests in TESTS
    }
    values["streams"] = reward.compute(f"```python\n{source}{ECHO}```", STREAMS)
    assert set(values.values()) == {0.0}, values
    if name.startswith("hangs"):
        reward.close()
        return
    # Whatever it did, the next one is judged as ever.
    assert reward.compute(HONEST, TESTS["loop"]) == 1.0


@pytest.mark.parametrize("name", [n for n, forged in FORGED.items() if forged.fools])
def test_it_would_fool_a_checker_in_the_same_process(name: str, tmp_path: Path) -> None:
    forged = FORGED[name]
    if forged.fools == "naive":
        assert fools_naive(forged.source)
    else:
        assert fools_script(forged.source, tmp_path)


def test_the_checkers_that_are_fooled_know_right_from_wrong(tmp_path: Path) -> None:
    wrong = "def mystery(x): return 0"
    assert fools_naive(HONEST)
    assert fools_script(HONEST, tmp_path)
    assert not fools_naive(wrong)
    assert not fools_script(wrong, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["landlock+seccomp+rlimits", "rlimits"])
def test_nor_does_it_where_isolation_is_weak(tier: Tier) -> None:
    if reason := probe(tier).reason:
        pytest.skip(reason)
    reward = CodeExecutionReward("share", timeout=1.5, allow_weak_isolation=True)
    limits = Limits(seconds=1.5)
    reward._sandbox = Sandbox(limits, tier=tier, allow_weak_isolation=True)
    assert [reward.compute(HONEST, TESTS[t], None, "mystery") for t in TESTS] == [1.0] * len(TESTS)
    earned = {
        (name, tests): value
        for name, forged in FORGED.items()
        for tests in TESTS
        if (value := reward.compute(forged.source, TESTS[tests], None, "mystery")) != 0.0
    }
    reward.close()
    assert earned == {}


def test_there_are_enough_of_them() -> None:
    assert len(FORGED) >= 40
    assert sum(bool(forged.fools) for forged in FORGED.values()) >= 20
