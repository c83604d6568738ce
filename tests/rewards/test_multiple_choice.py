"""multiple_choice: what is chosen, what the reference may be, and that hedging earns nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest

from aligntune.scoring import RewardBatch
from aligntune_rewards import AccuracyReward, MathAccuracyReward, MultipleChoiceReward

CITIES = ["Paris", "Rome", "New York", "York"]


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "b",
        "(B)",
        "B.",
        "B)",
        "**B**",
        "`B`",
        "B. Rome",
        "B) Rome",
        "(B) Rome",
        "B: Rome",
        "Rome",
        "rome.",
        r"\boxed{B}",
        r"\boxed{\text{B}}",
        r"\boxed{\textbf{(B)}}",
        r"\boxed{B. Rome}",
        r"\boxed{Rome}",
        r"First \boxed{B}, and so \boxed{B}.",
        "<answer>B</answer>",
        "<answer> (B) Rome </answer>",
        "The answer is B",
        "the answer is b.",
        "The correct answer is (B).",
        "Answer: B",
        "Answer: option B",
        "The answer is **B**",
        "The answer is B because it has a river.",
        "The answer is B. It has a river, and A has one too.",
        "The answer is A. No, wait: the answer is B.",
        "#### B",
        "A is in France, so I choose option B.",
        "It must be (B), as the Tiber is there.",
        "I think that it is Rome.",
    ],
)
def test_the_right_option(text: str) -> None:
    assert MultipleChoiceReward().compute(text, "B", CITIES) == 1.0


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("A or B", "no answer"),
        ("(A) or (B)", "hedged"),
        ("A, B, C, D", "no answer"),
        ("The answer is A or B.", "hedged"),
        ("The answer is A/B", "hedged"),
        ("The answer is B, C", "hedged"),
        ("Answer: B and C", "hedged"),
        (r"\boxed{B}\boxed{C}", "hedged"),
        (r"\boxed{B, C}", "hedged"),
        ("<answer>A</answer><answer>B</answer>", "hedged"),
        ("<answer>Rome or Paris</answer>", "hedged"),
        ("Rome or Paris", "hedged"),
        ("A. Paris B. Rome C. New York D. York", "hedged"),
        ("The answer is B because A is a small town", "hedged"),  # no rule can tell these apart
        ("The answer is not B", "no answer"),
        ("The answer isn't (B)", "no answer"),
        ("It is not Rome", "no answer"),
        ("Anything but that", "no answer"),
        ("The answer is C", None),
        ("The answer is BC", "no answer"),
        ("The answer is ABCD", "no answer"),
        ("\u0412", "no answer"),  # a Cyrillic letter
        ("\uff22", "no answer"),  # a wide one
        ("B\u0301", "no answer"),
        ("", "no answer"),
        ("A city needs a river.", "no answer"),
        ("The answer is a city", "no answer"),
        ("E", "no answer"),
    ],
)
def test_nothing_is_earned(text: str, kind: str | None) -> None:
    reward = MultipleChoiceReward()
    assert reward.compute(text, "B", CITIES) == 0.0
    if kind is not None:
        assert reward.failures == {kind: 1}


def test_a_label_with_the_text_of_another_option_is_hedging() -> None:
    reward = MultipleChoiceReward()
    assert reward.compute(r"\boxed{B) Paris}", "B", CITIES) == 0.0
    assert reward.compute(r"\boxed{B) Paris}", "A", CITIES) == 0.0
    assert reward.failures == {"hedged": 2}


@pytest.mark.parametrize(
    ("reference", "choices", "text"),
    [
        ("B", None, "B"),
        ("B", CITIES, "B"),
        ("(b)", CITIES, "B"),
        (1, CITIES, "B"),
        ("Rome", CITIES, "B"),
        ("York", CITIES, "D"),
        ("2", {"text": ["x", "y"], "label": ["1", "2"]}, "The answer is 2"),
        ("2", {"text": ["x", "y"], "label": ["1", "2"]}, "y"),
        ("B", {"A": "x", "B": "y"}, "y"),
        ("4", ["2", "4"], "The answer is B"),
        ("4", ["2", "4"], r"\boxed{4}"),
        ("yes", ("no", "yes"), "Answer: Yes."),
        ("It does not move.", ["It does not move.", "It moves."], "It does not move."),
        ("C", CITIES, "It is New York."),
        ("J", None, "J"),
    ],
)
def test_references(reference: Any, choices: Any, text: str) -> None:
    assert MultipleChoiceReward().compute(text, reference, choices) == 1.0


def test_first_index() -> None:
    assert MultipleChoiceReward(first_index=1).compute("B", 2, CITIES) == 1.0
    assert MultipleChoiceReward().compute("B", 2, CITIES) == 0.0
    with pytest.raises(ValueError, match="first_index is 2"):
        MultipleChoiceReward(first_index=2)


@pytest.mark.parametrize(
    ("reference", "choices"),
    [
        (4, CITIES),
        (-1, CITIES),
        (True, CITIES),
        (0.5, CITIES),
        ("Oslo", CITIES),
        ("Paris", None),
        ("x", ["x", "x"]),
        ("Z", CITIES),
        ("B", "AB"),
        ("B", []),
    ],
)
def test_a_reference_that_is_no_option_is_the_fault_of_the_data(
    reference: Any, choices: Any
) -> None:
    with pytest.raises(ValueError, match=r"the reference is|choices is"):
        MultipleChoiceReward().compute("B", reference, choices)


def test_rows_without_a_reference_are_left_out() -> None:
    batch = RewardBatch(["B", "B"], references=["B", None])
    assert MultipleChoiceReward().compute_batch(batch) == [1.0, None]


def test_only_what_follows_the_reasoning_is_read() -> None:
    thought = r"<think>\boxed{A}? The answer is A.</think>"
    for reward, final, right in (
        (MultipleChoiceReward(after="</think>"), r"\boxed{B}", "B"),
        (AccuracyReward(after="</think>"), r"\boxed{72}", "72"),
    ):
        assert reward.compute(thought + final, right) == 1.0
        assert reward.compute(final, right) == 0.0
        assert reward.failures == {"unfinished": 1}
    assert MultipleChoiceReward().compute(thought + r"\boxed{B}", "B") == 0.0
    long = thought + "The answer is B." + " " * 100_000
    assert MultipleChoiceReward(after="</think>").compute(long, "B") == 1.0
    for cls in (MultipleChoiceReward, AccuracyReward, MathAccuracyReward):
        with pytest.raises(ValueError, match="after is empty"):
            cls(after="")


@pytest.mark.parametrize("piece", ["(A) ", "A", "answer is ", "\\boxed{", " ", "not ", "Rome "])
def test_hostile_texts_take_no_time(piece: str) -> None:
    started = time.process_time()
    MultipleChoiceReward().compute(piece * (1_000_000 // len(piece)), "B", CITIES)
    assert time.process_time() - started < 2.0
