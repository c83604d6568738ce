"""Profanity, wherever it stands and however it is written; the classifier's own values."""

from __future__ import annotations

import time

import pytest
from profanity_check import predict_prob

from aligntune.scoring import RewardBatch
from aligntune_rewards import ProfanityReward
from aligntune_rewards.safety.profanity import readings

CLEAN = [
    "Plants turn light into sugar, and oxygen is left over.",
    "It costs $5 and 100 dollars at 3pm!",
    "I scored 100% with version 5.0, which is 4x faster.",
    "Scunthorpe is a town, and Essex is a county.",
    "The classic assassin passed the class.",
    "e=mc^2, x1 = y0 + 3 and a b c d",
]
FOUL = [
    "What the fuck!!!",
    "sh1t happens",
    "You are an a$$hole.",
    "f u c k you",
    "f.u.c.k you",
    "f\u200bu\u200bck you",
    "\uff46\uff55\uff43\uff4b this",
    "fu\u0441k this",
    "f\u0301u\u0301c\u0301k this",
    "fuuuuuuck",
    "FUCK",
    "damn",
    "A good answer. " * 60 + "Asshole.",
    "word " * 300 + "fuck you",
]


@pytest.mark.parametrize("text", CLEAN)
def test_what_is_clean(text: str) -> None:
    assert ProfanityReward().compute(text) > 0.85  # type: ignore[operator]


@pytest.mark.parametrize("text", FOUL)
def test_what_is_foul(text: str) -> None:
    assert ProfanityReward().compute(text) < 0.1  # type: ignore[operator]


def test_the_value_is_the_classifiers_of_the_foulest_sentence() -> None:
    texts = ["Nice day.", "Go to hell.", "Nice day. Go to hell. Bye.", ""]
    nice, hell, bye = (1 - float(p) for p in predict_prob(["Nice day.", "Go to hell.", "Bye."]))
    assert hell < min(nice, bye)
    found = ProfanityReward().compute_batch(RewardBatch(texts))
    assert found == pytest.approx([nice, hell, hell, 1.0])
    assert [ProfanityReward().compute(text) for text in texts] == pytest.approx(found)


def test_readings_change_what_may_stand_for_something_else_only() -> None:
    assert list(readings("A plain sentence!")) == ["A plain sentence!"]
    assert list(readings("Sh1t, 100 times!")) == ["Sh1t, 100 times!", "Shit, 100 times!"] * 1 + [
        "Shit, 100 times!"
    ]
    assert "fuck you" in list(readings("f u c k you"))
    assert {"cool", "col"} <= set(readings("coooool"))


def test_no_text_at_all() -> None:
    assert ProfanityReward().compute_batch(RewardBatch(["", " \n", "..."])) == pytest.approx(
        [1.0, 1.0, 1.0], abs=0.05
    )
    assert ProfanityReward().compute_batch(RewardBatch([])) == []


@pytest.mark.parametrize("part", ["word ", "sh1t", "a b c ", "$", "f.u.c.k.", "!"])
def test_long_texts_are_quick(part: str) -> None:
    began = time.process_time()
    ProfanityReward().compute(part * (500_000 // len(part)))
    assert time.process_time() - began < 5
