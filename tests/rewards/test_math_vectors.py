"""The published tests of math-verify and the docstrings of TRL, through math_accuracy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aligntune_rewards import MathAccuracyReward
from aligntune_rewards.verifiable.math_worker import judge

if TYPE_CHECKING:
    from collections.abc import Iterator

# The file names its source and licence; `asks` is what a row sets differently from the library's
# defaults, of which `precision` is a parameter here too.
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "math_verify.json").read_text()
)["rows"]

# Gold and the beginning of the answer -> why math_accuracy says something else.
DIFFERENT = {
    ("1,22", "1.22"): "a reference without markup is LaTeX, where 1,22 is two numbers; the row "
    "switches the parser of LaTeX off",
    ("$9$", "Answer $ \n 9"): "the row switches the parser of plain numbers off, which finds the 9",
    ("$9$", "Answer \\( \n 9"): "as above",
    (
        "$10455$",
        "First, let's calculate the interest",
    ): "the answer has a box, and the box says 255: prose after it does not take it back",
    ("$x \\in [-2,7]$", "$-2 \\\\le x"): "the row allows that a set is answered with a relation, "
    "which math-verify does not do by default",
    ("$f(x)$", "$f(y)$"): "the row asks that names of variables do not count",
}


@pytest.fixture(scope="module")
def rewards() -> Iterator[dict[int, MathAccuracyReward]]:
    made = {places: MathAccuracyReward(timeout=20.0, precision=places) for places in (2, 3, 5, 6)}
    yield made
    for reward in made.values():
        reward.close()


def known(row: dict[str, Any]) -> bool:
    answer = row["answer"]
    return any(row["gold"] == g and answer.startswith(a) for g, a in DIFFERENT)


def test_the_published_vectors(rewards: dict[int, MathAccuracyReward]) -> None:
    wrong = []
    for row in ROWS:
        reward = rewards[row.get("asks", {}).get("precision", 6)]
        if reward.compute(row["answer"], row["gold"]) != float(row["right"]):
            wrong.append(row)
    assert len(ROWS) == 275
    assert [row for row in wrong if not known(row)] == []
    # Nothing is on the list of differences that is none. `$f(x)$` stands there strict as well.
    assert len(wrong) == len(DIFFERENT)


def test_precision_is_that_of_the_numbers(rewards: dict[int, MathAccuracyReward]) -> None:
    assert rewards[6].compute(r"\boxed{0.33}", r"\frac{1}{3}") == 0.0
    assert rewards[2].compute(r"\boxed{0.33}", r"\frac{1}{3}") == 1.0
    with pytest.raises(ValueError, match="precision is -1"):
        MathAccuracyReward(precision=-1)


@pytest.mark.parametrize(
    ("gold", "answers", "verdict"),
    [
        (r"\{1, 2\}", ["1", "2"], "right"),
        ("1, 2", ["2", "1"], "right"),
        ("x = 1, y = 2", ["x = 1", "y = 2"], "right"),
        (r"\{1, 2\}", ["1", "2", "3"], "wrong"),
        (r"\{1, 2\}", ["1", "3"], "wrong"),
        ("(2, 1)", ["1", "2"], "wrong"),
        ("72", ["71", "72"], "hedged"),
        ("1,234", ["1", "234"], "wrong"),
        ("12", ["1", "2"], "wrong"),
        ("3/4", ["3", "4"], "wrong"),
        (r"\text{yes}", [r"\text{yes}", r"\text{no}"], "hedged"),
    ],
)
def test_several_boxes_are_right_if_they_are_the_parts(
    gold: str, answers: list[str], verdict: str
) -> None:
    assert judge(gold, answers, "") == verdict


def test_the_examples_of_trl(rewards: dict[int, MathAccuracyReward]) -> None:
    """Those in the docstring of `trl.rewards.accuracy_reward`, and what it itself says."""
    from trl.rewards import accuracy_reward

    texts = [r"My answer is \boxed{\frac{1}{3}}", r"My answer is \boxed{\frac{1}{2}}"]
    gold = [r"\frac{1}{3}"] * 2
    theirs = accuracy_reward([[{"role": "assistant", "content": t}] for t in texts], gold)
    ours = [rewards[6].compute(text, answer) for text, answer in zip(texts, gold, strict=True)]
    assert ours == theirs == [1.0, 0.0]


def test_the_examples_of_trl_with_reasoning() -> None:
    """Those in the docstring of `trl.rewards.reasoning_accuracy_reward`."""
    from trl.rewards import reasoning_accuracy_reward

    texts = [
        r"<think> Reasoning content </think> The final answer is \boxed{\frac{1}{3}}",
        r"<think> Reasoning content </think> The final answer is \boxed{\frac{1}{2}}",
        r"<think> Reasoning content with partial answers \boxed{\frac{1}{3}} but no final answer",
    ]
    gold = [r"\frac{1}{3}"] * 3
    theirs = reasoning_accuracy_reward(
        [[{"role": "assistant", "content": t}] for t in texts],
        gold,
        reasoning_delimiters=["</think>"],
    )
    reward = MathAccuracyReward(timeout=20.0, after="</think>")
    ours = [reward.compute(text, answer) for text, answer in zip(texts, gold, strict=True)]
    reward.close()
    assert ours == theirs == [1.0, 0.0, 0.0]
    assert reward.failures == {"unfinished": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\boxed{\boxed{72}}", 1.0),
        (r"\boxed{71\boxed{72}}", 0.0),
        (r"\boxed{\boxed{71}\boxed{72}}", 0.0),
        (r"\boxed{72\boxed{71}}", 0.0),
        (r"\boxed{71 or 72}", 0.0),
        (r"\boxed{\{71, 72\}}", 0.0),
        (r"\boxed{71 \pm 1}", 0.0),
        (r"\boxed{x}", 0.0),
        (r"\boxed{x > 71}", 0.0),
        (r"\boxed{[71, 72]}", 0.0),
        ("<answer>71</answer><answer>72</answer>", 0.0),
        ("$71$, $72$, $73$", 0.0),
    ],
)
def test_a_box_within_a_box_and_other_hedging(
    rewards: dict[int, MathAccuracyReward], text: str, value: float
) -> None:
    assert rewards[6].compute(text, "72") == value


@pytest.mark.parametrize(
    ("text", "gold", "value"),
    [
        (r"\boxed{1}\boxed{2}", r"\{1, 2\}", 1.0),
        (r"\boxed{-2}\boxed{2}", r"\pm 2", 1.0),
        (r"\boxed{71}\boxed{=72}", "x = 72", 0.0),
        (r"\boxed{x+2 $ no $}\boxed{x+1}", "x+1", 0.0),
        (r"\boxed{1}\boxed{2}", "1 < x < 2", 0.0),
        (r"\boxed{2}", r"x=1 \text{ or } x=2", 0.0),
        (r"\boxed{x=1}\boxed{x=2}", r"x=1 \text{ or } x=2", 1.0),
        (r"\boxed{2}", "1 and 2", 0.0),
        (r"\boxed{2, 1}", "1 and 2", 1.0),
    ],
)
def test_several_boxes_are_the_parts_of_one_answer_only_if_none_is_lost(
    rewards: dict[int, MathAccuracyReward], text: str, gold: str, value: float
) -> None:
    assert rewards[6].compute(text, gold) == value
