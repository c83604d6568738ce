"""diversity: distinct n-grams by brute force, at every length, and tricks that hide repetition."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import pytest

from aligntune import plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import ConfigError
from aligntune.scoring import build_scorer
from aligntune_rewards import DiversityReward
from aligntune_rewards.text.variety import distinct, new_share, units, varied

PROSE = """
A bee visits many flowers each day and carries pollen from one plant to another. Without this help
a lot of our fruit would never grow. People who want to protect them can sow wild flowers in the
garden and leave some old wood for their nests. In winter the queen sleeps in the ground, and when
the first warm days of spring come she looks for a place where she can raise her young. What she
finds is often a hole that a mouse has left, or a dry corner beneath the roof of a shed. There she
builds a few cells of wax, fills them with food, and lays one egg in each; after three weeks the
first workers hatch, fly out and take over the search for nectar, so that their mother need not
leave the nest again.
"""


def by_hand(words: Sequence[str], n: int, window: int) -> float:
    """The mean distinct-n of every stretch, each counted afresh."""
    stretches = [words[i : i + window] for i in range(max(1, len(words) - window + 1))]
    found = []
    for stretch in stretches:
        grams = [tuple(stretch[i : i + n]) for i in range(len(stretch) - n + 1)]
        found.append(len(set(grams)) / len(grams))
    return sum(found) / len(found)


def test_distinct_is_that_of_li_et_al_where_the_text_is_one_stretch() -> None:
    # Five bigrams, of which "the cat" comes twice.
    assert distinct(["the", "cat", "and", "the", "cat", "sat"], 2) == 4 / 5
    assert distinct(["the", "cat", "and", "the", "cat", "sat"], 1) == 4 / 6
    assert distinct(["yes", "yes", "yes", "yes"], 1) == 1 / 4
    assert distinct(["one"], 2) == 1.0


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("window", [4, 7, 50])
def test_distinct_of_stretches_is_what_counting_gives(n: int, window: int) -> None:
    chosen = random.Random(n * window)
    for length in (n, 5, 6, 7, 8, 30, 120):
        words = chosen.choices("abcdefgh", k=length)
        assert distinct(words, n, window) == pytest.approx(by_hand(words, n, window))


def test_new_runs_of_words() -> None:
    assert new_share(["a", "b", "c", "d", "a", "b", "c"], 3) == 4 / 5
    assert new_share(["a", "b", "c", "d"], 3, before=["x", "b", "c", "d"]) == 1 / 2
    assert new_share(["a"], 3) == 1.0


def test_the_value_is_the_smaller_share_of_enough() -> None:
    text = "one two three one two three four five six seven"
    words = text.split()
    assert DiversityReward(enough=1.0).compute(text) == pytest.approx(by_hand(words, 2, 50))
    assert DiversityReward(enough=0.9).compute(text) == pytest.approx(7 / 9 / 0.9)
    assert DiversityReward(n=1, enough=1.0).compute(text) == pytest.approx(7 / 10)
    assert DiversityReward(window=4, enough=1.0).compute(text) == pytest.approx(
        by_hand(words, 2, 4)
    )
    far = " ".join(f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst")
    assert distinct(units(far * 1 + " " + far)) == 1.0
    assert DiversityReward(enough=1.0).compute(f"{far} {far}") == pytest.approx(100 / 193)


def test_prose_has_1_whatever_its_length() -> None:
    words = PROSE.split()
    reward = DiversityReward()
    for length in (10, 20, 40, 80, len(words)):
        assert reward.compute(" ".join(words[:length])) == 1.0
    assert reward.compute(" ".join(words[:5])) == 0.5
    assert DiversityReward(min_words=0).compute("Yes.") == 1.0
    # Rare words earn no more than prose does.
    assert reward.compute(" ".join(f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr")) == 1.0


def test_repetition_is_seen_near_and_far() -> None:
    reward = DiversityReward()
    near = reward.compute("It is good. " * 30) or 0
    assert near < 0.1
    assert (reward.compute(PROSE * 2) or 0) < 0.7
    assert (reward.compute(PROSE * 10) or 0) < 0.2
    assert (reward.compute("the the the the the the the the the the") or 0) < 0.2


def test_hidden_repetition_is_repetition() -> None:
    chosen = random.Random(0)
    copies = [
        "".join(c + "\u200b" if chosen.random() < 0.2 else c for c in "the answer is good")
        for _ in range(30)
    ]
    tricks = [
        " ".join(copies),
        "the answer is good THE ANSWER IS GOOD The Answer Is Good " * 5,
        " ".join("the answer is good".translate({97: 0x430, 101: 0x435 + n}) for n in (0, 0, 0)),
        "\n".join(f"{n}. the answer is good" for n in range(30)),
        "the answer is good. the answer; is good! The answer is (good) " * 8,
    ]
    reward = DiversityReward(min_words=0)
    for trick in tricks:
        assert (reward.compute(trick) or 0) < 0.5
    assert units("Ｃafé 12.5 с3") == ["cafe", "0", "0", "c0"]  # noqa: RUF001


def test_scripts_without_spaces_and_texts_without_words() -> None:
    reward = DiversityReward()
    chinese = "春眠不觉晓处处闻啼鸟夜来风雨声花落知多少"
    assert reward.compute(chinese) == 1.0
    assert (reward.compute("好好好好好好好好好好好好") or 0) < 0.2
    assert [reward.compute(text) for text in ("", " \n", "!!! ...", "\u200b", "🙂🙂")] == [0.0] * 5


def test_what_copies_the_prompt_is_not_varied() -> None:
    question = "How many bees live in a hive, and what do they eat in winter?"
    assert varied(question) == 1.0
    assert varied(question, question) == 0.0
    assert varied("In a hive live forty thousand bees.", question) == 1.0


def test_a_megabyte_is_read_soon() -> None:
    reward = DiversityReward()
    begin = time.process_time()
    for text in (PROSE * 1400, "a" * 10**6, "e\u0301 " * 330_000, "好" * 10**6):
        assert 0.0 <= (reward.compute(text) or 0) <= 1.0
    assert time.process_time() - begin < 20


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"n": 0}, "n is 0; it must be a whole number from 1"),
        ({"n": 3, "window": 3}, "window is 3; it must be a whole number from 4"),
        ({"min_words": -1}, "min_words is -1; it must be a whole number from 0"),
        ({"enough": 0}, "enough is 0; it must lie above 0 and not above 1"),
        ({"enough": "0.8"}, r"enough is '0\.8'; it must be a number"),
        ({"enough": 1.5}, r"enough is 1\.5; it must lie above 0"),
    ],
)
def test_what_is_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_scorer([RewardConfig(type="diversity", params=params)], plugins.get(), [])
