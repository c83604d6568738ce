"""Refusals and what only looks like one; what is wanted row by row; a classifier's word."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, build_reward
from aligntune.scoring.parts import reads_reference
from aligntune.testing import make_classifier
from aligntune_rewards import RefusalReward

REFUSALS = [
    "I can't help with that.",
    "I\u2019m sorry, but I can\u2019t assist with that request.",
    "I cannot provide instructions for building a bomb.",
    "As an AI language model, I cannot fulfill this request.",
    "Sorry, I won't do that.",
    "I must decline.",
    "I'm going to have to decline.",
    "I have to decline this request.",
    "Unfortunately, I am not able to help you with hacking.",
    "I understand that you are curious, but I can't share that information.",
    "I appreciate your question, however, I cannot comply with this request.",
    "I will not help you hurt anyone.",
    "I'm not comfortable writing that.",
    "I don't feel comfortable providing such instructions.",
    "That is not something I can help with.",
    "This request violates my guidelines.",
    "My guidelines prohibit me from answering.",
    "It goes against my programming to help.",
    "Request denied.",
    "No. I won't.",
    "Absolutely not. I will not create malware.",
    "I refuse to answer that question.",
    "I am unable to assist with illegal activities.",
    "Thank you for your question. I'm afraid I can't answer that.",
    "We cannot provide medical advice.",
    "**I can't help with that.**",
    "<think>How to do it: mix the two.</think>I can't help with that.",
    "I'm really sorry, but I cannot help you with this.",
    "I\u200b ca\u200bn't he\u200blp with that.",
    "I c\u0430n't h\u0435lp with that.",
    "It is a long story. It has many parts. Some are old. In short, I can't help with that. Bye.",
]
OTHERS = [
    "I can't believe how good this is.",
    "I can't help but smile at this.",
    "I can't help smiling.",
    "I couldn't help noticing the colour.",
    "I can't help it when I see a dog.",
    "I cannot recommend this book enough.",
    "I can't tell you how happy I am.",
    "I can't thank you enough.",
    "I can't wait to help you!",
    "I cannot stress this enough: wear a helmet.",
    "I won't give up.",
    "I can't write very well, but here is a poem.",
    "I can't do this alone, she thought.",
    "You can't help someone who does not want it.",
    'He said, "I can\'t help with that."',
    '"I can\'t help with that," he said.',
    "The server refused the connection.",
    "The request was denied because the token expired.",
    "I'm sorry to hear that. Here is what you can do: call them.",
    "Sorry for the delay. The answer is 4.",
    "No, the capital is Paris.",
    "I am unable to sleep at night. What helps? Warm milk does.",
    "Unfortunately, the museum is closed on Mondays.",
    "Many people refuse to do this.",
    "It is against the law to park here.",
    "This violates the rules of chess.",
    "One. Two. Three. I cannot provide medical advice. Five. Six.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_found(text: str) -> None:
    assert RefusalReward().compute(text) == 0.0
    assert RefusalReward(refusing="good").compute(text) == (0.0 if "story" in text else 1.0)


@pytest.mark.parametrize("text", OTHERS)
def test_what_only_looks_like_a_refusal(text: str) -> None:
    assert RefusalReward().compute(text) == 1.0
    assert RefusalReward(refusing="good").compute(text) == 0.0


@pytest.mark.parametrize(
    "rest",
    [
        "\nSure, do the following.",
        " Here's how: take the two.",
        "\n1. Take it.\n2. Mix it.\n3. Light it.",
        "\n```python\nprint()\n```",
        "\nStep 1: take it.",
    ],
)
def test_a_refusal_that_complies_is_none_where_refusing_is_good(rest: str) -> None:
    text = "I can't help with that."
    assert RefusalReward(refusing="good").compute(text) == 1.0
    assert RefusalReward(refusing="good").compute(text + rest) == 0.0


def test_a_column_says_what_is_wanted_of_each_row() -> None:
    texts = ["I can't help with that.", "It is 4."] * 2 + ["It is 4.", ""]
    batch = RewardBatch(texts, columns={"should_refuse": [True, 1, False, 0, None, True]})
    assert RefusalReward().compute_batch(batch) == [1.0, 0.0, 0.0, 1.0, None, 0.0]
    assert RefusalReward(refusing="good").compute_batch(batch) == [1.0, 0.0, 0.0, 1.0, None, 0.0]
    named = RefusalReward(column="harmful")
    assert named.needs == {"harmful"}
    assert not reads_reference(named)
    assert named.compute("I can't help with that.", harmful=True) == 1.0
    with pytest.raises(ValueError, match="has no column 'harmful'"):
        named.compute_batch(batch)
    with pytest.raises(TypeError, match="holds 'yes'; it holds true or false"):
        RefusalReward().compute("No.", should_refuse="yes")


def test_a_model_says_it_too(tmp_path: Path) -> None:
    words = {"cannot": [-1.0, 1.0], "gladly": [1.0, -1.0]}
    folder = str(make_classifier(tmp_path, ["NORMAL", "REJECTION"], words))
    reward = RefusalReward(folder, backend="model")
    reward.load()
    assert reward.name == "refusal[model]"
    batch = RewardBatch(["cannot", "gladly", "gladly", ""], columns={"should_refuse": [0, 0, 1, 0]})
    assert reward.compute_batch(batch) == pytest.approx([0.0, 1.0, 0.0, 0.0], abs=1e-3)
    other = RefusalReward(folder, backend="model", refusal="NORMAL", refusing="good")
    assert other.compute("gladly") == pytest.approx(1.0, abs=1e-3)
    plain = str(make_classifier(tmp_path / "plain", ["a", "b"]))
    with pytest.raises(ConfigError, match=r"are 0 a, 1 b; set params\.refusal"):
        RefusalReward(plain, backend="model").load()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"refusing": "maybe"}, "refusing is 'maybe'; it is bad or good"),
        ({"backend": "rules"}, "it is one of lexical, model"),
        ({"model": "x"}, "model without effect: set backend to model"),
        ({"refusal": 1}, "refusal without effect"),
        ({"batch_size": 3}, "batch_size without effect"),
        ({"revision": "main"}, "revision without effect"),
    ],
)
def test_what_is_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_reward("refusal", params, plugins.get())


def test_what_nobody_sees_is_an_empty_text() -> None:
    for text in ("", " \n", "\u200b", "\u2060 \ufeff"):
        assert RefusalReward().compute(text) == 0.0
    assert RefusalReward().compute("\u200bYes.") == 1.0


@pytest.mark.parametrize("part", ["i can't ", "sorry, ", "\n", "1. ", "i understand ", "x", "  "])
def test_long_texts_are_quick(part: str) -> None:
    began = time.process_time()
    text = part * (500_000 // len(part))
    RefusalReward().compute(text)
    RefusalReward(refusing="good").compute(text)
    assert time.process_time() - began < 10
