"""Finding a final answer, and comparing answers exactly."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligntune_rewards.verifiable.answers import (
    boxed,
    candidates,
    last_number,
    parse_number,
    references_of,
    same_answer,
)


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        (r"so \boxed{72}", ["72"]),
        (r"\boxed{71}\boxed{72}", ["71", "72"]),
        (r"\boxed{\frac{1}{2}}", [r"\frac{1}{2}"]),
        (r"\boxed {\{1, 2\}}", [r"\{1, 2\}"]),
        (r"\fbox{a}", ["a"]),
        (r"\boxed{\boxed{72}}", [r"\boxed{72}"]),
        (r"\boxed{72", []),
        (r"\boxed{1} and \boxed{2", ["1"]),
        (r"}} \boxed{3}", ["3"]),
        (r"\{ \boxed{4}", ["4"]),
        (r"\boxed{}", [""]),
        ("no box", []),
    ],
)
def test_boxed(text: str, contents: list[str]) -> None:
    assert boxed(text) == contents


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"\boxed{71} then \boxed{72} and \boxed{71}. #### 5", ["71", "72"]),
        ("<answer> 72 </answer> the answer is 5", ["72"]),
        ("<ANSWER>1</ANSWER><answer>2</answer>", ["1", "2"]),
        ("She has 3.\n#### 72", ["72"]),
        ("#### 71\n#### 72\n", ["72"]),
        ("#### Paris", ["Paris"]),
        ("#### Step 1\nAdd.\nThe answer is 72.", ["72"]),
        ("The answer is 71. No, the final answer is: 72", ["72"]),
        ("Answer: Paris. It is in France.", ["Paris"]),
        ("answer = 3.14", ["3.14"]),
        ("The answer is:\n**72**", ["**72**"]),
        ("I answered 5", []),
        ("", []),
    ],
)
def test_candidates(text: str, found: list[str]) -> None:
    assert candidates(text) == found


def test_numeric_candidates_hold_a_digit() -> None:
    text = "The answer is not obvious.\nSo 70 + 2 = 72"
    assert candidates(text) == ["not obvious"]
    assert candidates(text, numeric=True) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("72", 72),
        ("-3", -3),
        ("\u22123", -3),
        ("+4", 4),
        ("1,234,567.5", Fraction("1234567.5")),
        ("1{,}234", 1234),
        (r"1\,234", 1234),
        (".5", Fraction(1, 2)),
        ("72.", 72),
        ("1e3", 1000),
        ("2.5E-1", Fraction(1, 4)),
        ("3/4", Fraction(3, 4)),
        (r"\frac{1}{2}", Fraction(1, 2)),
        (r"-\dfrac{1}{2}", Fraction(-1, 2)),
        ("$72", 72),
        (r"\$1,000", 1000),
        ("$72$", 72),
        (r"\(72\)", 72),
        ("**72**", 72),
        ("€ 5", 5),
        ("0.1", Fraction(1, 10)),
        ("72 dollars", None),
        ("1,23", None),
        ("1 2", None),
        ("1/0", None),
        ("x", None),
        ("", None),
        ("1e999999999", None),
        ("1e-999999999", None),
        ("9" * 5000, None),
        ("nan", None),
        ("inf", None),
        ("\u0667\u0662", None),  # digits of another script are left to be compared as text
        ("10\u00b2", None),
        ("1_000", None),
    ],
)
def test_parse_number(text: str, number: Fraction | int | None) -> None:
    assert parse_number(text) == (None if number is None else (number, False))


@pytest.mark.parametrize("text", ["50%", r"50\%", "50 %"])
def test_percent(text: str) -> None:
    assert parse_number(text) == (50, True)


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("72", "72", True),
        ("72.0", "72", True),
        ("1,234", "1234", True),
        (r"\frac{1}{2}", "0.5", True),
        ("0.3333", "1/3", False),
        ("0.30000001", "0.3", False),
        ("72 dollars", "72", True),
        ("72 km", "72 m", False),
        ("72", "72 m", False),
        ("71, 72", "72", False),
        ("71 or 72", "72", False),
        ("50%", "0.5", True),
        ("50%", "50", True),
        ("0.5", "50%", True),
        ("50%", "50%", True),
        ("0.5%", "50%", False),
        ("5%", "0.5", False),
        ("Paris.", "paris", True),
        ("**Paris**", "Paris", True),
        ("Paris or Rome", "Paris", False),
        ("x  +  1", "x + 1", True),
        ("", "", False),
        ("", "72", False),
        (r"72^\circ", "72", True),
        (r"72\text{ cm}", "72", True),
        ("72 cm\u00b2", "72", True),
        ("<b>72</b> pens", "72", True),
        ("72 km/h", "72", True),
        ("x = 72", "72", True),
        (r"\sqrt{72}", "72", False),
        (r"\frac{72}{x}", "72", False),
        (r"2\pi", "2", False),
        ("72!", "72", False),
        ("72\u00b2", "72", False),
        ("72^x", "72", False),
        ("72x", "72", False),
        ("72k", "72", False),
        ("x + 72", "72", False),
        ("x < 72", "72", False),
        (r"x_{72}", "72", False),
        ("not 72", "72", False),
        ("n't 72", "72", False),
        ("seventy-one or 72", "72", False),
        ("\uff17\uff11, 72", "72", False),
    ],
)
def test_same_answer(answer: str, reference: str, same: bool) -> None:
    assert same_answer(answer, reference) is same


def test_tolerance() -> None:
    assert same_answer("3.14", "3.1416", tolerance=0.01)
    assert not same_answer("3.13", "3.1416", tolerance=0.01)
    assert same_answer("1.3", "1", tolerance=0.3)  # the float 0.3 is a little less


@pytest.mark.parametrize(
    ("reference", "answers"),
    [
        ("72", ["72"]),
        (72, ["72"]),
        (0.5, ["0.5"]),
        ("48 / 2 = 24\n#### 72", ["72"]),
        (r"We get \boxed{1} or \boxed{72}", ["72"]),
        (["72", r"\boxed{73}"], ["72", "73"]),
        (" Paris ", ["Paris"]),
    ],
)
def test_references_of(reference: object, answers: list[str]) -> None:
    assert references_of(reference) == answers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12+7=19", "19"),
        ("x = -5", "-5"),
        ("10-5", "5"),
        ("1,2,3", "3"),
        ("it weighs 1,234kg", "1,234"),
        ("a1", None),
        ("none", None),
    ],
)
def test_last_number(text: str, number: str | None) -> None:
    assert last_number(text) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-9e9, max_value=9e9))
def test_a_number_equals_itself_however_it_is_written(value: object) -> None:
    assert same_answer(f"{value:,}", f"{value:f}")
    assert same_answer(f"{value}000", f"{value}")
    assert not same_answer(f"{value}1", f"{value}")


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    for answer in [text, *candidates(text), *boxed(text)]:
        parse_number(answer)
        same_answer(answer, text)
        same_answer(answer, "72")
    last_number(text)


@pytest.mark.parametrize(
    "piece",
    [
        r"\boxed{",
        "{",
        "<answer>",
        "<answer>x",
        "#### ",
        "answer is ",
        "1,",
        "1",
        "####\n",
        "####",
        "\n",
        "9e9/",
        "- ",
        "not ",
    ],
)
@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ("72", "72"), ("", "\nx"), ("answer is", "")]
)
def test_hostile_texts_take_no_time(piece: str, before: str, after: str) -> None:
    text = before + piece * (200_000 // len(piece)) + after
    started = time.process_time()
    candidates(text)
    last_number(text)
    same_answer(text, "72")
    assert time.process_time() - started < 2.0


def test_boxes_that_are_deeply_nested_take_no_time() -> None:
    started = time.process_time()
    assert boxed(r"\boxed{" * 50_000 + "72" + "}" * 50_000) == [
        r"\boxed{" * 49_999 + "72" + "}" * 49_999
    ]
    assert time.process_time() - started < 2.0
