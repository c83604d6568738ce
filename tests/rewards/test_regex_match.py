"""regex_match: values, parameters, and patterns that never end."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, as_reward
from aligntune_rewards import RegexMatchReward
from aligntune_rewards.verifiable.patterns import Patterns

ENDLESS = r"(a+)+$"


@pytest.fixture(scope="module")
def patterns() -> Any:
    made = Patterns(timeout=20.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("pattern", "text", "params", "value"),
    [
        (r"\d+", "72", {}, 1.0),
        (r"\d+", " 72\n", {}, 1.0),
        (r"\d+", " 72\n", {"strip": False}, 0.0),
        (r"\d+", "72 apples", {}, 0.0),
        (r"\d+", "72 apples", {"mode": "search"}, 1.0),
        (r"\d+", "apples", {"mode": "search"}, 0.0),
        (r"^b$", "a\nb", {"mode": "search"}, 0.0),
        (r"(?m)^b$", "a\nb", {"mode": "search"}, 1.0),
        (r"(?i)yes", "YES", {}, 1.0),
        (r"yes", "YES", {}, 0.0),
        (r"a.b", "a\nb", {}, 0.0),
        (r"(?s)a.b", "a\nb", {}, 1.0),
        (r"(?P<x>a)(?P=x)", "aa", {}, 1.0),
        ("", "", {}, 1.0),
        (r".*", "\ud800", {}, 1.0),
        ("日本", "日本", {}, 1.0),
        ("yes", "y\u0435s", {}, 0.0),
    ],
)
def test_values(
    patterns: Patterns, pattern: str, text: str, params: dict[str, Any], value: float
) -> None:
    reward = RegexMatchReward(pattern, timeout=20.0, **params)
    reward._patterns = patterns  # one process for all of them
    assert reward.compute(text) == value


def test_a_pattern_that_never_ends_is_stopped() -> None:
    reward = RegexMatchReward(ENDLESS, timeout=1.0)
    assert reward.compute("a") == 1.0
    started = time.monotonic()
    assert reward.compute("a" * 60 + "!") == 0.0
    assert time.monotonic() - started < 10.0
    assert reward.failures == {"timeout": 1}
    assert reward.compute("aaa") == 1.0
    reward.close()


def test_patterns_of_rows() -> None:
    reward = RegexMatchReward(timeout=20.0)
    assert reward.needs == {"pattern"}
    batch = RewardBatch(["1", "a", "1"], columns={"pattern": [r"\d", r"\d", None]})
    assert reward.compute_batch(batch) == [1.0, 0.0, None]
    with pytest.raises(ValueError, match=r"pattern '\(' is no regular expression"):
        reward.compute("x", pattern="(")
    with pytest.raises(TypeError, match="pattern is 5; it must be a text"):
        reward.compute("x", pattern=5)
    reward.close()


def test_the_parameter_comes_before_the_column() -> None:
    reward = RegexMatchReward("a", timeout=20.0)
    assert reward.needs == set()
    assert reward.compute("a", pattern="b") == 1.0
    reward.close()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": 5}, "must be a text"),
        ({"pattern": "a", "mode": "match"}, "mode is 'match'; it is one of full, search"),
        ({"pattern": "a", "timeout": 0}, "timeout is 0"),
    ],
)
def test_parameters_that_are_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        as_reward(RegexMatchReward, "regex_match", params)


def test_a_copy_works_too() -> None:
    reward = pickle.loads(pickle.dumps(RegexMatchReward("a", timeout=20.0)))
    assert reward.compute("a") == 1.0
    reward.close()
