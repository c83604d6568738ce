"""fluency and coherence: by a model of counted pairs of words, with perplexities by hand."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, build_scorer
from aligntune.testing import make_bigram_model
from aligntune_rewards import CoherenceReward, FluencyReward
from aligntune_rewards.text.variety import varied

TEXT = """A bee visits many flowers each day.
The bee carries pollen from one plant to another plant.
Without this help a lot of fruit would never grow.
Good good good good good."""
TEXTS = ["A bee visits one plant.", "pollen many this grow", "zebra", "", "?!", "bee"]
SMOOTHING = 0.25


@pytest.fixture(scope="module")
def bigrams(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bigrams")
    return str(make_bigram_model(folder, TEXT, smoothing=SMOOTHING))


def lines() -> list[list[str]]:
    return [re.findall(r"\w+", line.lower()) for line in TEXT.splitlines()]


def perplexity(words: Sequence[str], before: str = "<end>") -> float:
    """By the definition of `make_bigram_model`."""
    counts = Counter(p for line in lines() for p in pairwise(["<end>", *line, "<end>"]))
    known = {word for line in lines() for word in line}
    size = len(known) + 3
    words = [word if word in known else "<unknown>" for word in words]
    logs = []
    for a, b in pairwise([before, *words]):
        total = sum(count for (first, _), count in counts.items() if first == a)
        logs.append(math.log((counts[a, b] + SMOOTHING) / (total + SMOOTHING * size)))
    return math.exp(-math.fsum(logs) / len(logs))


def expected(value: float, midpoint: float, enough: float) -> float:
    return 1.0 if value <= enough else (midpoint - enough) / (midpoint - 2 * enough + value)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_fluency_is_the_perplexity_of_the_text_alone(bigrams: str, batch_size: int) -> None:
    reward = FluencyReward(bigrams, midpoint=8.0, enough=6.0, batch_size=batch_size)
    words = [re.findall(r"\w+", text.lower()) for text in TEXTS]
    wanted = [expected(perplexity(each), 8.0, 6.0) if each else 0.0 for each in words]
    assert len({round(value, 3) for value in wanted}) > 3
    assert reward.compute_batch(RewardBatch(TEXTS)) == pytest.approx(wanted, abs=1e-5)
    prompted = RewardBatch(TEXTS[::-1], ["Which bee?"] * len(TEXTS))
    assert reward.compute_batch(prompted) == pytest.approx(wanted[::-1], abs=1e-5)
    assert reward.compute(TEXTS[0]) == pytest.approx(wanted[0], abs=1e-5)


def test_coherence_is_that_of_the_text_after_the_prompt(bigrams: str) -> None:
    reward = CoherenceReward(bigrams, midpoint=8.0, enough=1.0)
    fluency = FluencyReward(bigrams, midpoint=8.0, enough=1.0)
    for prompt, text in (("a", "bee visits"), ("one", "bee visits"), ("", "bee visits")):
        wanted = expected(perplexity(["bee", "visits"], prompt or "<end>"), 8.0, 1.0)
        assert reward.compute(text, prompt) == pytest.approx(wanted, abs=1e-5)
    after_a = reward.compute("bee visits", "a") or 0
    assert after_a > (reward.compute("bee visits", "one") or 0) + 0.05
    assert reward.compute("bee visits", "") == pytest.approx(fluency.compute("bee visits"))


@pytest.mark.parametrize("cls", [FluencyReward, CoherenceReward])
def test_parameters_are_what_they_say(cls: Any, bigrams: str) -> None:
    text = "pollen many this grow"
    value = perplexity(text.split())
    assert cls(bigrams, midpoint=value, enough=2.0).compute(text) == pytest.approx(0.5, abs=1e-5)
    assert cls(bigrams, midpoint=value + 9, enough=value).compute(text) == pytest.approx(1.0)
    zero = cls(bigrams, midpoint=10.0, enough=0.0).compute(text)
    assert zero == pytest.approx(10 / (10 + value), abs=1e-5)


@pytest.mark.parametrize("cls", [FluencyReward, CoherenceReward])
def test_what_a_model_expects_because_it_repeats_itself_earns_little(
    cls: Any, bigrams: str
) -> None:
    reward = cls(bigrams, midpoint=12.0, enough=8.0)
    honest = "A bee carries pollen from one plant to another plant."
    assert perplexity(["good"] * 30) < perplexity(re.findall(r"\w+", honest.lower())) < 8.0
    assert reward.compute(honest) == 1.0
    assert reward.compute("good " * 30) == pytest.approx(varied("good " * 30))
    assert varied("good " * 30) < 0.1
    assert reward.compute(f"{honest} " * 20) < 0.3


def test_copying_the_prompt_is_not_coherent(bigrams: str) -> None:
    reward = CoherenceReward(bigrams, midpoint=20.0, enough=12.0)
    prompt = "The bee carries pollen from one plant to another plant"
    assert reward.compute(prompt, prompt) == 0.0
    assert reward.compute(prompt, "Tell me about bees") == 1.0
    said = [{"role": "user", "content": prompt}]
    assert reward.compute(prompt, said) == 0.0


def test_the_end_of_what_is_too_long_is_left_out_and_counted(
    bigrams: str, caplog: pytest.LogCaptureFixture
) -> None:
    reward = FluencyReward(bigrams, max_length=4, midpoint=9.0, enough=1.0)
    with caplog.at_level(logging.WARNING, "aligntune"):
        found = reward.compute("a bee visits zebra zebra")
    wanted = expected(perplexity(["a", "bee", "visits"]), 9.0, 1.0)
    assert found == pytest.approx(wanted, abs=1e-5)
    assert caplog.messages == [
        "reward 'fluency': 1 of 1 inputs are longer than 4 tokens and were cut"
    ]


def test_texts_that_are_not_expected_at_all(bigrams: str, tmp_path: Path) -> None:
    folder = str(make_bigram_model(tmp_path, "a b\na b\n", smoothing=1e-300))
    assert FluencyReward(folder).compute("b a zebra") == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", ["fluency", "coherence"])
def test_what_is_refused_and_what_is_pinned(name: str) -> None:
    for params, says in (
        ({"midpoint": 0.0}, r"midpoint is 0\.0; it must be a finite number above 0"),
        ({"midpoint": 5.0, "enough": 5.0}, "enough must be at least 0 and below midpoint"),
        ({"midpoint": "20"}, "midpoint is '20'; it must be a number"),
        ({"enough": -1.0}, "enough must be at least 0"),
        ({"model": "./nowhere"}, r"there is no folder './nowhere'; set params\.model"),
    ):
        with pytest.raises(ConfigError, match=says):
            build_scorer([RewardConfig(type=name, params=params)], plugins.get(), ["prompt"])
    entry = plugins.get().rewards.get(name)
    cls: Any = entry.load()
    assert len(cls().revision) == 40
    assert entry.facts.install == "aligntune-rewards[models]"
    assert (entry.facts.range, entry.facts.cost) == (cls.range, cls.cost)
