"""instruction_following: the verdicts of the official program, columns, and what differs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from aligntune.scoring import RewardBatch
from aligntune_rewards import InstructionFollowingReward
from aligntune_rewards.verifiable.instruction_text import (
    capital_words,
    count_sentences,
    count_words,
)
from aligntune_rewards.verifiable.instructions import INSTRUCTIONS, check_of

# The file names its source. Languages and sentences are not in it: the program finds them with
# models that differ (and the latter is downloaded).
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "ifeval.json").read_text()
)["rows"]
STRICT, LOOSE = InstructionFollowingReward(), InstructionFollowingReward(loose=True)


def test_the_verdicts_of_the_official_program() -> None:
    wrong = [
        row
        for row in ROWS
        if STRICT.compute(row["text"], [row["instruction"]], [row["kwargs"]]) != row["strict"]
        or LOOSE.compute(row["text"], [row["instruction"]], [row["kwargs"]]) != row["loose"]
    ]
    assert wrong == []
    assert len(ROWS) == 421
    by_hand = {name for name, *_ in BY_HAND}
    assert {row["instruction"] for row in ROWS} | by_hand == set(INSTRUCTIONS)
    assert len(INSTRUCTIONS) == 25


ENGLISH = "The plants need light and water to grow in the garden every day."
GERMAN = "Die Pflanzen brauchen jeden Tag Licht und Wasser, um im Garten zu wachsen."
BY_HAND: list[tuple[str, dict[str, Any], str, bool]] = [
    ("language:response_language", {"language": "de"}, GERMAN, True),
    ("language:response_language", {"language": "de"}, ENGLISH, False),
    ("language:response_language", {"language": "zh-cn"}, "植物需要阳光和水才能生长。", True),
    ("language:response_language", {"language": "en"}, "42", False),
    ("change_case:english_capital", {}, ENGLISH.upper(), True),
    ("change_case:english_capital", {}, ENGLISH, False),
    ("change_case:english_capital", {}, GERMAN.upper(), False),
    ("change_case:english_lowercase", {}, ENGLISH.lower(), True),
    ("change_case:english_lowercase", {}, ENGLISH, False),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        "One. Two!",
        True,
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "less than"},
        "One. Two!",
        False,
    ),
    ("startend:quotation", {}, ' "Yes." ', True),
    ("startend:quotation", {}, '"', False),
    ("detectable_format:title", {}, "<<A title>>", True),
    ("detectable_format:title", {}, "<< >>", False),
    ("detectable_format:title", {}, "<<<>>>", False),
    # Different by design.
    ("detectable_format:constrained_response", {}, "My answer is yes. My answer is no.", False),
    ("detectable_format:json_format", {}, '{"a": NaN}', False),
    ("detectable_format:json_format", {}, '{"a": 1, "a": 2}', False),
    ("keywords:forbidden_words", {"forbidden_words": ["light"]}, "L\u0456ght", False),
    ("keywords:forbidden_words", {"forbidden_words": ["light"]}, "lig\u200bht", False),
    ("keywords:forbidden_words", {"forbidden_words": ["light"]}, "\uff4c\uff49ght", False),
    ("keywords:forbidden_words", {"forbidden_words": ["light"]}, "lighter", True),
    (
        "keywords:frequency",
        {"keyword": "light", "frequency": 1, "relation": "less than"},
        "l\u00adight",
        False,
    ),
    (
        "keywords:frequency",
        {"keyword": "light", "frequency": 1, "relation": "at least"},
        "l\u00adight",
        False,
    ),
    ("keywords:existence", {"keywords": ["C++ (new)"]}, "Learn C++ (new) now", True),
    ("punctuation:no_comma", {}, "One\uff0c two", False),
    ("punctuation:no_comma", {}, "One\u201a two", False),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "at least"},
        "o\u200bn\u200be",
        False,
    ),
    (
        "keywords:letter_frequency",
        {"letter": "a", "let_frequency": 1, "let_relation": "less than"},
        "\uff41",
        False,
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "a"},
        "a",
        False,
    ),
]


@pytest.mark.parametrize(("name", "given", "text", "followed"), BY_HAND)
def test_by_hand(name: str, given: dict[str, Any], text: str, followed: bool) -> None:
    assert STRICT.compute(text, [name], [given]) == float(followed)


@pytest.mark.parametrize("name", sorted(INSTRUCTIONS))
def test_the_empty_text_follows_nothing(name: str) -> None:
    values: dict[type, Any] = {int: 1, str: "less than", list: ["x"]}
    given = {key: values[kind] for key, kind in INSTRUCTIONS[name].takes.items()}
    for text in ("", " \n"):
        assert STRICT.compute(text, [name], [given]) == 0.0


TWO = ["punctuation:no_comma", "startend:end_checker"]
KWARGS: list[dict[str, Any]] = [{}, {"end_phrase": "Bye."}]


def test_the_share_of_instructions_or_all_of_them() -> None:
    every = InstructionFollowingReward(all_or_nothing=True)
    for text, share, whole in (("Bye.", 1.0, 1.0), ("a, Bye.", 0.5, 0.0), ("a, b", 0.0, 0.0)):
        assert STRICT.compute(text, TWO, KWARGS) == share
        assert every.compute(text, TWO, KWARGS) == whole


def test_loose_leaves_out_first_and_last_lines_and_asterisks() -> None:
    text = "Sure, here it is:\n*All is well. Bye.*\nI hope this helps!"
    assert STRICT.compute(text, TWO, KWARGS) == 0.0
    assert LOOSE.compute(text, TWO, KWARGS) == 1.0


def test_columns_as_the_data_set_has_them() -> None:
    # In a table each row has the keys of all, numbers may be floats, and lists may be JSON.
    words = {"num_words": 2.0, "relation": "at least", "end_phrase": None, "keywords": None}
    names = ["length_constraints:number_words"]
    batch = RewardBatch(
        ["a b", "a", "a b", "a", "a"],
        columns={
            "instruction_id_list": [names, names, json.dumps(names), [], None],
            "kwargs": [[words], [words], json.dumps([words]), [], None],
        },
    )
    assert STRICT.compute_batch(batch) == [1.0, 0.0, 1.0, None, None]
    assert STRICT.needs == {"instruction_id_list", "kwargs"}
    assert STRICT.compute("a", ["punctuation:no_comma"], [None]) == 1.0
    assert STRICT.compute("a", ["punctuation:no_comma"], None) is None


@pytest.mark.parametrize(
    ("names", "given", "says"),
    [
        (["no_comma"], [{}], "there is no instruction 'no_comma'; the instructions are keywords:"),
        (TWO, [{}], "2 names and kwargs 1 mappings"),
        (["startend:end_checker"], [{}], "takes end_phrase; given are none"),
        (["punctuation:no_comma"], [{"x": 1}], "takes no parameters; given are x"),
        (["startend:end_checker"], [{"end_phrase": 5}], "end_phrase is 5; it is a str"),
        (["startend:end_checker"], [{"end_phrase": ""}], "end_phrase is ''"),
        (["keywords:existence"], [{"keywords": "abc"}], "keywords is 'abc'; it is a list"),
        (
            ["length_constraints:number_words"],
            [{"num_words": 5, "relation": "about"}],
            "relation is 'about'; it is one of less than, at least",
        ),
        (
            ["length_constraints:number_words"],
            [{"num_words": 1.5, "relation": "at least"}],
            "num_words is 1.5; it is a int",
        ),
    ],
)
def test_what_is_wrong_with_the_data(names: list[str], given: list[Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        STRICT.compute("x", names, given)


@pytest.mark.parametrize(("names", "given"), [(5, []), (["punctuation:no_comma"], [5])])
def test_columns_of_the_wrong_kind(names: Any, given: Any) -> None:
    with pytest.raises(TypeError, match=r"it is a list"):
        STRICT.compute("x", names, given)


def test_a_language_that_is_not_known() -> None:
    with pytest.raises(ValueError, match="language 'xx' is none of"):
        STRICT.compute("Some text", ["language:response_language"], [{"language": "xx"}])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("One", 1),
        ("One. Two", 2),
        ("One.", 1),
        ("One? Two! Three.", 3),
        ("Mr. Smith met Dr. Jones at 5 p.m. They talked.", 2),
        ("Mr. Smith works at Acme Inc. in London.", 1),
        ("J. R. R. Tolkien wrote it.", 1),
        ("It is I. You know me.", 2),
        ("It costs 3.50 dollars.", 1),
        ("See example.org for more.", 1),
        ("Well... maybe not. Wait... Yes.", 3),
        ('"Stop!" she said. "Why?" he asked.', 4),
        ("1. First item.\n2. Second item.", 2),
        ("A heading\n\nA sentence.", 1),
        ("Really?! Yes.", 2),
        ("植物需要阳光。它们也需要水\uff01好吗\uff1f", 3),
        ("... ! ?", 0),
        ("e.g. this and i.e. that.", 1),
    ],
)
def test_sentences(text: str, count: int) -> None:
    assert count_sentences(text) == count


@pytest.mark.parametrize(
    ("text", "words", "capitals"),
    [
        ("", 0, 0),
        ("Two words", 2, 0),
        ("word-word isn't", 4, 0),
        ("HELLO World, I AM", 4, 3),
        ("WELL-KNOWN DON'T", 4, 2),
        ("U.S. ARMY", 3, 2),
        ("a\u200bb c\u0301d", 2, 0),
        ("हिन्दी में", 2, 0),
        ("42 A1", 2, 1),
    ],
)
def test_words(text: str, words: int, capitals: int) -> None:
    assert (count_words(text), capital_words(text)) == (words, capitals)


@pytest.mark.parametrize(
    "piece", ["<<", "[", "*", "\n", "- ", "a.", "***", "Section ", "p. ", "A.", " ", "é", "."]
)
def test_hostile_texts_take_no_time(piece: str) -> None:
    text = piece * (300_000 // len(piece)) + "x"
    values: dict[type, Any] = {int: 3, str: "at least", list: ["x"]}
    for name, instruction in INSTRUCTIONS.items():
        given = {key: values[kind] for key, kind in instruction.takes.items()}
        check = check_of(name, given | ({"language": "en"} if "language" in given else {}))
        started = time.process_time()
        check(text)
        assert time.process_time() - started < 3.0, name


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\u2060 \x00"])
def test_a_text_of_which_nothing_is_seen_follows_nothing(text: str) -> None:
    assert not check_of("punctuation:no_comma", {})(text)
