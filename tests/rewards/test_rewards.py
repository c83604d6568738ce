"""accuracy, exact_match, length and structure: values, parameters, and what is counted."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligntune import plugins
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, as_reward
from aligntune.scoring.faults import raw_values
from aligntune_rewards import AccuracyReward, ExactMatchReward, LengthReward, StructureReward


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        (r"\boxed{72}", "72", 1.0),
        (r"\boxed{71}\boxed{72}", "72", 0.0),
        (r"\boxed{72}\boxed{71}", "72", 0.0),
        (r"First \boxed{72}, again \boxed{72.0}", "72", 1.0),
        (r"\boxed{\frac{1}{2}}", "0.5", 1.0),
        ("12+7=19", "19", 1.0),
        ("12+7=18", "19", 0.0),
        ("The sum is 19 dollars.", 19, 1.0),
        ("1 2 3 4 5 6 7 8 9 10", "7", 0.0),
        ("<answer>71</answer><answer>72</answer>", "72", 0.0),
        ("#### 72", "9 * 8 = 72\n#### 72", 1.0),
        ("The answer is Paris.", "Paris", 1.0),
        ("Paris", "Paris", 1.0),
        ("Paris, Rome, Berlin", "Paris", 0.0),
        ("It is 3", ["3", "three"], 1.0),
        ("three", ["3", "three"], 1.0),
        ("no idea", "72", 0.0),
        ("", "72", 0.0),
        ("72", None, None),
        ("72", "", None),
        ("72", [], None),
    ],
)
def test_accuracy(text: str, reference: object, value: float | None) -> None:
    assert AccuracyReward().compute(text, reference) == value


def test_accuracy_counts_hedging_and_missing_answers(caplog: pytest.LogCaptureFixture) -> None:
    reward = AccuracyReward()
    texts = [r"\boxed{1}\boxed{2}", "none", r"\boxed{1}\boxed{3}", "2", "5"]
    with caplog.at_level(logging.DEBUG, "aligntune"):
        batch = RewardBatch(texts, references=["2"] * 5)
        assert raw_values("accuracy", reward, batch) == [0, 0, 0, 1, 0]
        raw_values("accuracy", reward, RewardBatch(["2"], references=["2"]))
    assert reward.failures == {"hedged": 1, "no answer": 1}
    assert caplog.messages == ["reward accuracy: of 5 completions 1 hedged, 1 no answer"]


def test_accuracy_tolerance() -> None:
    assert AccuracyReward(tolerance=0.01).compute("3.14", "3.1416") == 1.0
    assert AccuracyReward().compute("3.14", "3.1416") == 0.0
    with pytest.raises(ConfigError, match="tolerance is -1"):
        as_reward(AccuracyReward, "accuracy", {"tolerance": -1})


@pytest.mark.parametrize(
    ("params", "text", "reference", "value"),
    [
        ({}, "Paris", "Paris", 1.0),
        ({}, " Paris\n", "Paris", 1.0),
        ({}, "paris", "Paris", 0.0),
        ({}, "It is Paris", "Paris", 0.0),
        ({}, "5", 5, 1.0),
        ({}, "b", ["a", "b"], 1.0),
        ({}, "", "", 1.0),
        ({}, "x", None, None),
        ({}, "x", [], None),
        ({"strip": False}, " Paris", "Paris", 0.0),
        ({"ignore_case": True}, "STRASSE", "straße", 1.0),
        ({"collapse_whitespace": True}, "a \n b", "a b", 1.0),
        ({}, "a  b", "a b", 0.0),
        ({"collapse_whitespace": True, "strip": False}, "\ta", " a", 1.0),
    ],
)
def test_exact_match(params: dict[str, Any], text: str, reference: object, value: object) -> None:
    assert ExactMatchReward(**params).compute(text, reference) == value


@pytest.mark.parametrize(
    ("params", "text", "value"),
    [
        ({}, "", 0.0),
        ({}, "word", 1.0),
        ({}, "w " * 200, 1.0),
        ({}, "w " * 300, 0.5),
        ({}, "w " * 400, 0.0),
        ({}, "w " * 900, 0.0),
        ({"min_length": 10}, "one two three four five", 0.5),
        ({"min_length": 0}, "", 1.0),
        ({"max_length": 4, "unit": "characters"}, "abcde", 0.75),
        ({"max_length": 4, "unit": "characters"}, "日本語文", 1.0),
    ],
)
def test_length(params: dict[str, Any], text: str, value: float) -> None:
    assert LengthReward(**params).compute(text) == pytest.approx(value)


def test_length_in_tokens_needs_tokens() -> None:
    reward = LengthReward(max_length=4, unit="tokens")
    assert reward.compute_batch(RewardBatch(["x"], completion_ids=[[1] * 6])) == [0.5]
    with pytest.raises(ValueError, match="no token ids"):
        reward.compute("x")


@pytest.mark.parametrize(
    "params",
    [
        {"min_length": 5, "max_length": 4},
        {"min_length": -1},
        {"min_length": 1.5},
        {"unit": "lines"},
    ],
)
def test_length_refuses_bounds_that_make_no_sense(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="reward 'length' does not accept its parameters"):
        as_reward(LengthReward, "length", params)


GOOD = "First, add the tens (30).\n\nThen add the rest: 5 + 7 = 12."


@pytest.mark.parametrize(
    ("params", "text", "value"),
    [
        ({}, GOOD, 1.0),
        ({}, "72", 1.0),
        ({}, "", 0.0),
        ({}, " \n", 0.0),
        ({}, "\u200b \u2060", 0.0),
        ({}, "It breaks off in the", 0.75),
        ({}, "An open bracket (here.", 0.75),
        ({}, "```\ncode", 0.5),
        ({}, "I am happy to help. " * 3, 0.75),
        ({}, "word " * 400 + ".", 0.75),
        ({}, "Steps: a) one, b) two. Smile :)", 0.75),
        ({"require": "boxed"}, r"\boxed{7}", 1.0),
        ({"require": ["boxed"]}, r"\boxed{7}\boxed{8}", 0.0),
        ({"require": ["json"]}, '{"a": 1}', 1.0),
        ({"require": ["json"]}, '```json\n{"a": 1}\n```', 1.0),
        ({"require": ["json"]}, "{'a': 1}", 0.0),
        ({"require": ["json"]}, "[" * 100_000, 0.0),
        ({"require": ["list", "headings"]}, "# T\n- a\n- b", 1.0),
        ({"require": ["list", "headings"]}, "- a\n- b", 0.5),
        ({"require": ["code_block"]}, "```py\nx\n```", 1.0),
        ({"require": ["think_answer"]}, "<think>t</think>\n<answer>72</answer>", 1.0),
        ({"require": ["think_answer"]}, "<think>t</think>72", 0.0),
        ({"require": ["think_answer"]}, "<think><think></think><answer>7</answer>", 0.0),
        ({"tags": ["a", "b"]}, "<a>1</a><b>2</b>", 1.0),
        ({"tags": ["a", "b"]}, "<b>2</b><a>1</a>", 0.0),
        ({"tags": ["a"]}, "<a>1</a><a>1</a>", 0.0),
        ({"tags": ["a"]}, "</a><a>", 0.0),
        ({"pattern": r"^\d+$"}, "72", 1.0),
        ({"pattern": r"^\d+$", "require": ["finished"]}, "ab.", 0.5),
    ],
)
def test_structure(params: dict[str, Any], text: str, value: float) -> None:
    assert StructureReward(**params).compute(text) == value


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"require": ["boxd"]}, "require names 'boxd'; the checks are finished, balanced"),
        ({"pattern": "("}, "is no regular expression"),
    ],
)
def test_structure_refuses(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        as_reward(StructureReward, "structure", params)


REWARDS = [AccuracyReward, ExactMatchReward, LengthReward, StructureReward]


@pytest.mark.parametrize("cls", REWARDS)
@given(texts=st.lists(st.text(), max_size=5), reference=st.text(min_size=1))
def test_range_batch_and_repetition(cls: Any, texts: list[str], reference: str) -> None:
    reward = cls()
    low, high = reward.range
    batch = RewardBatch(texts, references=[reference] * len(texts))
    values = list(reward.compute_batch(batch))
    assert all(value is None or low <= value <= high for value in values)
    assert values == list(reward.compute_batch(batch))
    assert values == list(pickle.loads(pickle.dumps(reward)).compute_batch(batch))


@pytest.mark.parametrize("cls", [*REWARDS])
def test_facts_of_the_manifest_are_those_of_the_class(cls: Any) -> None:
    entry = plugins.get().rewards.get(cls.name)
    assert entry.load() is cls
    assert entry.facts.range == cls.range
    assert frozenset(entry.facts.requires) == cls.requires
    assert entry.facts.cost == cls.cost


def test_the_manifest_imports_no_reward() -> None:
    code = (
        "import sys, aligntune_rewards.plugin as p; "
        "ours = {m for m in sys.modules if m.startswith('aligntune_rewards.')}; "
        "light = ('.plugin', '.manifest', '.needs', *(f'_rewards.{g}' for g in p.GROUPS)); "
        "assert not {m for m in ours if not m.endswith(light)}, ours; "
        "assert not {'torch', 'sympy', 'math_verify', 'aligntune.scoring'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
