"""overlong_penalty, cosine_length, repetition_penalty, conciseness, structure: values and units."""

from __future__ import annotations

import math
import random
import time
from typing import Any

import pytest

from aligntune.errors import AlignTuneError, RewardError
from aligntune.scoring import RewardBatch, as_reward
from aligntune.scoring.faults import raw_values
from aligntune_rewards import (
    ConcisenessReward,
    CosineLengthReward,
    OverlongPenaltyReward,
    RepetitionPenaltyReward,
    StructureReward,
)


def scored(reward: Any, ids: list[list[int]], **more: Any) -> list[float | None]:
    texts = more.pop("texts", ["x"] * len(ids))
    return raw_values(reward.name, reward, RewardBatch(texts, completion_ids=ids, **more))


def test_overlong_penalty_is_that_of_trl() -> None:
    from trl.rewards import get_soft_overlong_punishment

    # The example of the docstring: 90 of at most 100 tokens, the slope begins at 80.
    assert scored(OverlongPenaltyReward(100, 20), [[1] * 90]) == [-0.5]
    for longest, slope in ((100, 20), (100, 0), (7, 7), (50, 1)):
        ids = [[1] * n for n in range(longest + 10)]
        theirs = get_soft_overlong_punishment(longest, slope)(completion_ids=ids)
        assert scored(OverlongPenaltyReward(longest, slope), ids) == theirs
        assert len(set(theirs)) > 1


def test_the_slope_is_a_fifth_as_in_the_paper() -> None:
    assert OverlongPenaltyReward(20480).slope == 4096


def test_overlong_penalty_in_words_and_characters() -> None:
    assert OverlongPenaltyReward(4, 4, unit="words").compute("one two") == -0.5
    assert OverlongPenaltyReward(4, 4, unit="characters").compute("abc") == -0.75
    with pytest.raises(ValueError, match="no token ids"):
        OverlongPenaltyReward(4).compute("x")


RIGHT, WRONG = r"\boxed{\frac{1}{3}}", r"\boxed{\frac{1}{2}}"


def test_cosine_length_is_that_of_trl() -> None:
    from trl.rewards import get_cosine_scaled_reward

    reward = CosineLengthReward(100, judge_params={"timeout": 20.0})
    gold = r"\frac{1}{3}"
    # The example of the docstring.
    found = scored(reward, [[1] * 50] * 2, texts=[RIGHT, WRONG], references=[gold] * 2)
    assert found == pytest.approx([0.75, -0.75])
    lengths = [0, 1, 10, 50, 99, 100, 101, 250]
    texts, ids = [RIGHT, WRONG] * len(lengths), [[1] * n for n in lengths for _ in range(2)]
    solutions = [gold] * len(texts)
    theirs = get_cosine_scaled_reward(max_len=100)(
        [[{"content": text}] for text in texts], solutions, ids
    )
    assert scored(reward, ids, texts=texts, references=solutions) == pytest.approx(theirs)
    reward.close()


def test_cosine_length_with_other_values_and_another_judge() -> None:
    reward = CosineLengthReward(10, -10, 0, 2, 10, unit="words", judge="exact_match")
    assert reward.range == (-10, 10)
    assert (reward.cost, reward.needs) == ("inline", {"reference"})
    assert reward.compute("a b c d e", "a b c d e") == pytest.approx(6.0)
    assert reward.compute("a b c d x", "a b c d e") == pytest.approx(-5.0)
    assert reward.compute("word " * 20, "x") == pytest.approx(0.0)
    assert reward.compute("x", None) is None
    assert reward.compute("", "x") == -10.0


def test_cosine_length_passes_columns_on() -> None:
    reward = CosineLengthReward(10, unit="words", judge="multiple_choice")
    batch = RewardBatch(["Rome", "Oslo"], references=[0, 0], columns={"choices": [["Rome"]] * 2})
    right, wrong = raw_values("cosine_length", reward, batch)
    assert right == pytest.approx(0.75 + 0.25 * math.cos(math.pi / 10))
    assert wrong == pytest.approx(-0.75 - 0.25 * math.cos(math.pi / 10))
    # An error of the judge's is one of this reward.
    bad = RewardBatch(["Rome"], references=[7], columns={"choices": [["Rome"]]})
    with pytest.raises(RewardError, match="the reference is 7"):
        raw_values("cosine_length", reward, bad)


def test_repetition_penalty_is_that_of_trl() -> None:
    from trl.rewards import get_repetition_penalty_reward

    reward = RepetitionPenaltyReward(2, unit="tokens")
    assert scored(reward, [[1, 2, 3, 4], [5] * 5]) == [0.0, -0.75]  # the docstring's example
    random.seed(0)
    ids = [[random.randrange(5) for _ in range(n)] for n in range(60)]
    for ngram, penalty in ((1, -1.0), (2, -0.5), (3, -2.0)):
        theirs = get_repetition_penalty_reward(ngram, penalty)(completion_ids=ids)
        ours = RepetitionPenaltyReward(ngram, penalty, unit="tokens")
        assert scored(ours, ids) == pytest.approx(theirs)
        assert ours.range == (penalty, 0.0)
        assert len(set(theirs)) > 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0.0),
        ("one two", 0.0),
        ("one two three four", 0.0),
        ("one two one two one two", -0.5),  # 4 trigrams, 2 distinct
        ("One, two. ONE two! one two?", -0.5),
        ("one two o\u200bne two one t\u00adwo", -0.5),
        ("\uff4fne two \u043ene two \U0001d428ne two", -0.5),
        ("日本日本日本", -0.5),
    ],
)
def test_repetition_of_words(text: str, value: float) -> None:
    assert RepetitionPenaltyReward().compute(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("params", "text", "reference", "value"),
    [
        ({}, "abc", "abcd", 1.0),
        ({}, "abcd", "abcd", 1.0),
        ({}, "a b c d", "abcd", 1.0),
        ({}, "abcdefgh", "abcd", 0.5),
        ({}, "abcdefgh", ["ab", "abcd"], 0.5),
        ({}, "a\u200bb\u0301c\u00add", "abcd", 1.0),
        ({"ratio": 2.0}, "abcdefgh", "abcd", 1.0),
        ({"budget": 2}, "abcdefgh", "abcdefgh", 0.25),
        ({"budget": 2}, "abcdefgh", None, 0.25),
        ({"budget": 2, "unit": "words"}, "one two three four", None, 0.5),
        ({}, "", "abcd", 0.0),
        ({}, " \n", "abcd", 0.0),
        ({}, "\u200b", "abcd", 0.0),
        ({}, "abcd", None, None),
        ({}, "abcd", "", None),
        ({}, "abcd", 12, 0.5),
    ],
)
def test_conciseness(
    params: dict[str, Any], text: str, reference: object, value: float | None
) -> None:
    assert ConcisenessReward(**params).compute(text, reference) == value


def test_conciseness_needs_a_reference_or_a_budget() -> None:
    assert ConcisenessReward().needs == {"reference"}
    assert ConcisenessReward(budget=5).needs == set()
    reward = ConcisenessReward(budget=5, unit="tokens")
    assert scored(reward, [[1] * 10, [1]]) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("cls", "params", "says"),
    [
        (OverlongPenaltyReward, {}, "max_length"),
        (OverlongPenaltyReward, {"max_length": 0}, "max_length is 0"),
        (OverlongPenaltyReward, {"max_length": 5, "slope": 6}, "slope is 6"),
        (OverlongPenaltyReward, {"max_length": 5, "unit": "lines"}, "unit is 'lines'"),
        (CosineLengthReward, {"max_length": 0}, "max_length is 0"),
        (CosineLengthReward, {"max_length": 9, "min_value_wrong": 0.0}, "they must not fall"),
        (CosineLengthReward, {"max_length": 9, "max_value_correct": math.inf}, "must not fall"),
        (CosineLengthReward, {"max_length": 9, "judge": "acuracy"}, "did you mean"),
        (RepetitionPenaltyReward, {"ngram": 0}, "ngram is 0"),
        (RepetitionPenaltyReward, {"ngram": 2.5}, "whole number"),
        (RepetitionPenaltyReward, {"max_penalty": 1.0}, "max_penalty is 1.0"),
        (RepetitionPenaltyReward, {"unit": "characters"}, "one of words, tokens"),
        (ConcisenessReward, {"budget": 5, "ratio": 2.0}, "both set"),
        (ConcisenessReward, {"budget": 0}, "budget is 0"),
        (ConcisenessReward, {"ratio": 0.0}, "ratio is 0.0"),
        (ConcisenessReward, {"unit": "tokens"}, "set budget"),
        (StructureReward, {"timeout": 5.0}, "timeout is that of pattern"),
    ],
)
def test_parameters_that_are_refused(cls: Any, params: dict[str, Any], says: str) -> None:
    with pytest.raises(AlignTuneError, match=rf"(?i){says}"):
        as_reward(cls, cls.name, params)


def test_structure_sees_repetition_that_hides_itself() -> None:
    check = StructureReward(require=["unrepeated"])
    assert check.compute("Light is life. Light i\u200bs life. L\u0456ght is life.") == 0.0
    assert check.compute("1. Light is life\n2. Light is life\n3. Light is life") == 0.0
    assert check.compute("1) Light is life\n2) Light is life\n3) Light is life") == 0.0
    assert check.compute("The sum of 3 and 4 is 7.\nThe sum of 3 and 5 is 8.\n" * 2) == 1.0


def test_structure_stops_a_pattern_that_never_ends() -> None:
    reward = StructureReward(pattern="(a+)+$", timeout=1.0)
    assert (reward.cost, reward.own_processes) == ("process", True)
    assert reward.compute("a") == 1.0
    assert reward.compute("a" * 60 + "!") == 0.0
    assert reward.failures == {"timeout": 1}
    reward.close()


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\n" * 200_000 + "b",
        "```x\n" * 50_000,
        " \n" * 100_000 + "x",
        "- \n" * 100_000,
        "```" + "\n" * 200_000 + "x",
    ],
    ids=["lines", "fences", "blank lines", "items", "an open fence"],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    rewards = (
        StructureReward(),
        StructureReward(require=["list", "headings", "code_block", "json", "think_answer"]),
        RepetitionPenaltyReward(),
        ConcisenessReward(budget=5),
    )
    for reward in rewards:
        started = time.process_time()
        reward.compute(text)
        assert time.process_time() - started < 5.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # The examples in the docstring of trl.rewards.think_format_reward.
        ("<think>\nThis is my reasoning.\n</think>\nThis is my answer.", 1.0),
        ("<think>\nThis is my reasoning.\nThis is my answer.", 0.0),
        ("Well. <think>a</think> b", 0.0),
        ("<think>a<think>b</think> c", 0.0),
        ("<think>a</think> b </think> c", 0.0),
        ("<think>a</think>\n", 0.0),
        ("<think></think>72", 1.0),
    ],
)
def test_structure_of_thinking(text: str, value: float) -> None:
    from trl.rewards import think_format_reward

    assert StructureReward(require=["think"]).compute(text) == value
    if value:  # what is right here is right for TRL
        assert think_format_reward([[{"content": text}]]) == [1.0]
