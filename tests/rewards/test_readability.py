"""readability: published values of Flesch's formulas, syllables, and ways to play the formula."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from aligntune import plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import ConfigError
from aligntune.scoring import build_scorer
from aligntune_rewards import ReadabilityReward
from aligntune_rewards.text.readability import level
from aligntune_rewards.text.syllables import syllables

# https://en.wikipedia.org/wiki/Flesch-Kincaid_readability_tests: 13 words with 24 syllables.
PLATYPUS = "The Australian platypus is seemingly a hybrid of a mammal and reptilian creature."
PLAIN = (
    "During a single day a bee visits several hundred flowers and carries pollen from one plant to "
    "another. Without this constant help, much of our fruit and vegetables would never grow. "
    "People who want to protect them can plant different wild flowers in the garden and leave some "
    "old wood for their nests."
)

SYLLABLES = {
    1: "the cat make makes asked love loved times through yes queue be tree clothes tries days",
    2: "table tables wanted boxes churches wishes nation million people needed pages handled",
    3: "radio media beautiful syllable computer religion Australian reptilian platypus seemingly",
    4: "biology information responsible",
    5: "university communication",
}


def test_syllables_of_words() -> None:
    """As the CMU pronouncing dictionary has them."""
    wrong = {
        word: syllables(word.lower())
        for count, listed in SYLLABLES.items()
        for word in listed.split()
        if syllables(word.lower()) != count
    }
    assert wrong == {}
    assert [syllables(word) for word in ("going", "hmm", "it's", "asked", "titled")] == [
        *(2, 1, 1, 1, 2)
    ]


def test_the_formulas_give_the_published_values() -> None:
    platypus = [PLATYPUS.lower().rstrip(".").split()]
    assert level(platypus, "ease") == pytest.approx(37.5, abs=0.05)
    assert level(platypus, "grade") == pytest.approx(11.3, abs=0.05)
    assert level([["the", "cat", "sat", "on", "the", "mat"]], "ease") == pytest.approx(116.145)
    two = [["this", "is", "the", "first"], ["university", "information", "is", "here"]]
    assert level(two, "grade") == pytest.approx(0.39 * 4 + 11.8 * 15 / 8 - 15.59)


def test_the_value_falls_in_a_straight_line() -> None:
    grade = 0.39 * 13 + 11.8 * 24 / 13 - 15.59
    for target, tolerance, width in ((grade, 0, 1), (8, 1, 6), (8, 1, 3), (8, 0, 6), (14, 2, 5)):
        reward = ReadabilityReward(target=target, tolerance=tolerance, width=width, min_words=0)
        wanted = min(1.0, max(0.0, 1 - (abs(grade - target) - tolerance) / width))
        assert reward.compute(PLATYPUS) == pytest.approx(wanted)
    ease = ReadabilityReward("ease", tolerance=0, width=100, min_words=0)
    assert ease.compute(PLATYPUS) == pytest.approx(1 - (65 - 37.4553846) / 100)
    assert ReadabilityReward().compute(PLATYPUS) == pytest.approx((1 - (grade - 9) / 6) * 13 / 20)
    assert ReadabilityReward("ease", min_words=0).compute(PLATYPUS) == pytest.approx(
        1 - (60 - 37.4553846) / 30
    )


def test_the_formula_cannot_be_played() -> None:
    reward = ReadabilityReward(min_words=10)
    assert reward.compute(PLAIN) == 1.0
    # Many syllables in sentences of one word, which lie at the target if each counts as one.
    played = (
        "Mountain. Water. People. Summer. Apple. River. Garden. Window. Paper. Morning. Winter."
    )
    assert level([[w] for w in played.lower().replace(".", "").split()], "grade") > 8
    long = ReadabilityReward(target=8.4, tolerance=0, width=1, min_words=10)
    assert long.compute(played) == 0.0
    joined = [played.lower().replace(".", "").split()[i : i + 4] for i in (0, 4)]
    joined[-1] += ["paper", "morning", "winter"]
    by_hand = level(joined, "grade")
    assert ReadabilityReward(target=by_hand, tolerance=0, width=0.01, min_words=10).compute(
        played
    ) == pytest.approx(1.0)
    # What comes again neither fills the text up nor moves its mean.
    short = "The river was calm and the boat moved slowly."
    assert ReadabilityReward().compute(short) == pytest.approx(
        ReadabilityReward().compute(f"{short} {short.upper()} {short}") or 0
    )
    assert 0 < (ReadabilityReward().compute(short) or 0) < 0.5
    words = PLAIN.split()
    assert (reward.compute(" ".join(f"{word}." for word in words)) or 0) < 1.0


def test_letters_that_are_not_english() -> None:
    reward = ReadabilityReward(min_words=10)
    assert reward.compute("Кошка сидит на окне и смотрит, как во дворе играют дети.") == 0.0
    assert reward.failures == {"not English": 1}
    half = reward.compute(PLAIN + " " + "ж" * 60)
    letters = sum(map(str.isalpha, PLAIN))
    assert half == pytest.approx(letters / (letters + 60))
    same = [
        PLAIN.replace("e", "é"),
        PLAIN.replace("a", "a\u200b"),
        PLAIN.upper(),
        "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in PLAIN),
    ]
    assert [reward.compute(text) for text in same] == [1.0] * 4
    assert [reward.compute(text) for text in ("", " ", "12 + 7 = 19", "!?", "\0")] == [0.0] * 5
    assert reward.failures == {"not English": 1}


def test_long_texts_are_read_soon() -> None:
    reward = ReadabilityReward()
    chosen = random.Random(0)
    begin = time.process_time()
    for text in ("aye. " * 200_000, "a" * 10**6, "." * 10**6, "e\u0301" * 500_000):
        assert 0.0 <= (reward.compute(text) or 0) <= 1.0
    reward.compute(" ".join(chosen.choices(PLAIN.split(), k=150_000)))
    assert time.process_time() - begin < 20


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"formula": "fog"}, "formula is 'fog'; it is one of grade, ease"),
        ({"target": float("nan")}, "target is nan; it must be a finite number"),
        ({"tolerance": -1}, "tolerance is -1; it must be a finite number, 0 or more"),
        ({"target": "8"}, "target is '8'; it must be a number"),
        ({"width": 0}, "width is 0; it must be a finite number above 0"),
        ({"min_words": -1}, "min_words is -1; it must be a whole number from 0"),
    ],
)
def test_what_is_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_scorer([RewardConfig(type="readability", params=params)], plugins.get(), [])
