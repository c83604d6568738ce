"""Sentiment and tone: VADER's own published values, the formulas, and what is refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, build_reward
from aligntune.testing import make_classifier
from aligntune_rewards import SentimentReward, ToneReward
from aligntune_rewards.style.tone import TONES, Tone, kept
from aligntune_rewards.style.valence import valences

# Sentences and compound scores as VADER's README gives them.
PUBLISHED = {
    "VADER is smart, handsome, and funny.": 0.8316,
    "VADER is smart, handsome, and funny!": 0.8439,
    "VADER is very smart, handsome, and funny.": 0.8545,
    "VADER is VERY SMART, handsome, and FUNNY.": 0.9227,
    "VADER is not smart, handsome, nor funny.": -0.7424,
    "The book was good.": 0.4404,
    "At least it isn't a horrible book.": 0.431,
    "The book was only kind of good.": 0.3832,
    "Today SUX!": -0.5461,
    "Not bad at all": 0.431,
}


@pytest.mark.parametrize("text", PUBLISHED)
def test_vader_gives_its_published_values(text: str) -> None:
    assert valences(text) == [(PUBLISHED[text], len(text.split()))]


GOOD, BAD = "The book was good.", "Today SUX!"


@pytest.mark.parametrize(
    ("target", "text", "wanted"),
    [
        ("positive", GOOD, (0.4404 + 1) / 1.5),
        ("positive", "VADER is smart, handsome, and funny.", 1.0),
        ("positive", BAD, (1 - 0.5461) / 1.5),
        ("negative", BAD, 1.0),
        ("negative", GOOD, (1 - 0.4404) / 1.5),
        ("neutral", GOOD, 1 - 0.4404),
        ("neutral", "It is a table.", 1.0),
        (0.2, GOOD, 1 - (0.4404 - 0.2) / 1.2),
        (-1, BAD, 1 - (1 - 0.5461) / 2),
        (0, BAD, 1 - 0.5461),
        ("positive", f"{GOOD} {BAD}", ((0.4404 * 4 - 0.5461 * 2) / 6 + 1) / 1.5),
        ("positive", "", 0.0),
        ("neutral", " ... ", 0.0),
    ],
)
def test_sentiment_by_hand(target: Any, text: str, wanted: float) -> None:
    assert SentimentReward(target).compute(text) == pytest.approx(wanted)


def test_a_long_text_does_not_saturate_and_repeating_changes_nothing() -> None:
    once = SentimentReward(1.0).compute("The food was good. It was far. It rained.")
    again = SentimentReward(1.0).compute("The food was good. It was far. It rained. " * 30)
    assert once == again
    assert once < 0.7  # type: ignore[operator]
    assert SentimentReward(1.0).compute(f"{GOOD} the BOOK was good!") > 0.7  # type: ignore[operator]


def test_tricks_with_letters_are_undone() -> None:
    reward = SentimentReward("negative")
    plain = reward.compute("This is awful and I hate it.")
    for text in (
        "This is aw\u200bful and I ha\u00adte it.",
        "This is \uff41\uff57\uff46\uff55\uff4c and I h\u0430te it.",
        "This is a\u0301wful and I hate it.",
    ):
        assert reward.compute(text) == plain


@pytest.mark.parametrize("target", ["happy", 1.5, True, None])
def test_targets_that_there_are_not(target: Any) -> None:
    with pytest.raises(ConfigError, match=f"target is {target!r}; it is positive, neutral"):
        build_reward("sentiment", {"target": target}, plugins.get())


REPORT = "The report is attached. Please review the figures by Friday."


def test_offences_against_a_tone_cost() -> None:
    reward = ToneReward()
    assert reward.compute(REPORT) == 1.0
    for worse in (
        f"{REPORT} Do it now!",
        f"{REPORT} You are a stupid, hateful liar.",
        f"{REPORT} \U0001f600",
        REPORT.upper(),
        "",
        "?!",
    ):
        assert reward.compute(worse) < 0.9  # type: ignore[operator]


def test_a_tone_by_hand() -> None:
    """Two sentences: moods 0.8439 and 0.4404 of six and four words; one is exclaimed."""
    text = f"VADER is smart, handsome, and funny! {GOOD}"
    mood = (0.8439 * 6 + 0.4404 * 4) / 10
    assert kept(text, Tone(0.0, 1.0, exclaimed=0.5)) == 1.0
    assert kept(text, Tone(0.0, 1.0, exclaimed=0.2)) == pytest.approx(1 - 0.3 / 0.8)
    assert kept(text, Tone(0.0, 0.5, exclaimed=1.0)) == pytest.approx(1 - (mood - 0.5))
    assert kept(text, Tone(0.9, 1.0, exclaimed=1.0)) == pytest.approx(1 - (0.9 - mood))
    assert kept("It is HERE AND NOW my friend, is it", Tone(-1, 1)) == pytest.approx(1 - 3 / 9)
    assert kept("The NASA and the HTTP server", Tone(-1, 1)) == 1.0
    assert kept("It is. :-)", Tone(-1, 1, emoji=0.5)) == 1.0
    assert kept("You are a stupid liar. It is.", Tone(-1, 1)) == pytest.approx(0.5)


def test_each_tone_prefers_its_own() -> None:
    texts = {
        "professional": REPORT,
        "friendly": "Hi! So glad you asked. It is lovely to help you :)",
        "enthusiastic": "This is AMAZING!! \U0001f600 I love it so much!",
        "serious": "I regret to say that three people died. The causes are unknown.",
        "neutral": "The table has four legs. It stands by the door.",
    }
    assert texts.keys() == TONES.keys()
    for target in TONES:
        own = ToneReward(target=target).compute(texts[target])
        assert own == pytest.approx(1.0)
    assert ToneReward(target="friendly").compute(texts["serious"]) < 0.5  # type: ignore[operator]
    assert ToneReward(target="serious").compute(texts["friendly"]) < 0.5  # type: ignore[operator]
    assert ToneReward(target="neutral").compute(texts["enthusiastic"]) < 0.5  # type: ignore[operator]


def test_a_text_without_words_has_no_tone_for_a_model_either(tmp_path: Path) -> None:
    labels = ["entailment", "contradiction"]
    folder = str(make_classifier(tmp_path, labels, {"warm": (1.0, 0.0)}, bias=[2.0, 0.0]))
    reward = ToneReward(folder, backend="model")
    assert reward.compute_batch(RewardBatch(["", " !\n", "A word."]))[:2] == [0.0, 0.0]
    assert reward.compute("A word.") > 0.5  # type: ignore[operator]


def test_tone_by_a_model(tmp_path: Path) -> None:
    words = {"warm": [1.0, 0.0, -1.0], "friendly": [0.5, 0.0, 0.0]}
    folder = str(make_classifier(tmp_path, ["entailment", "neutral", "contradiction"], words))
    reward = ToneReward(folder, target="friendly", backend="model")
    reward.load()
    assert (reward.name, reward.cost) == ("tone[model]", "model")
    # Read are the words of the text and of "The tone of this text is friendly."
    from math import exp

    warm, cold = reward.compute_batch(RewardBatch(["warm", "cold"]))
    assert warm == pytest.approx(1 / (1 + exp(-4 * (1.5 + 1) / 8)), abs=1e-3)
    assert cold == pytest.approx(1 / (1 + exp(-4 * 0.5 / 8)), abs=1e-3)
    cool = ToneReward(folder, target="cool", backend="model").compute("cold")
    assert cool == pytest.approx(0.5, abs=1e-3)
    other = str(make_classifier(tmp_path / "other", ["a", "b"]))
    with pytest.raises(ConfigError, match=r"are 0 a, 1 b; a classifier of natural language"):
        ToneReward(other, backend="model").load()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"target": "sarcastic"}, "target is 'sarcastic'; it is one of professional, neutral"),
        ({"backend": "rules"}, "backend is 'rules'; it is one of lexical, model"),
        ({"model": "x"}, "model without effect: set backend to model"),
        ({"batch_size": 2, "device": "cpu"}, "batch_size, device without effect"),
        ({"backend": "model", "target": " "}, "target is empty"),
    ],
)
def test_what_tone_refuses(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_reward("tone", params, plugins.get())


@pytest.mark.parametrize(
    "part", ["good ", "good day", "!", "GOOD BAD ", ":) ", "awful. ", "\u00e9\U0001f600"]
)
def test_long_texts_are_quick(part: str) -> None:
    began = time.process_time()
    text = part * (500_000 // len(part))
    SentimentReward().compute(text)
    ToneReward().compute(text)
    assert time.process_time() - began < 5
