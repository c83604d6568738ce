"""factual_correctness: its formula from the logits of a classifier that are known by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, build_scorer
from aligntune.testing import make_classifier
from aligntune_rewards import FactualCorrectnessReward
from aligntune_rewards.reference.factual_correctness import parts_of

LABELS = ("entailment", "neutral", "contradiction")
# Weights of words for each label; `make_classifier` takes their mean over premise and hypothesis.
WORDS = {"paris": (1.0, -0.5, -1.0), "london": (-1.0, 0.0, 1.0), "perhaps": (-0.5, 1.0, 0.0)}
SCALE = 8.0
RIGHT = "The capital is Paris."
TEXTS = [
    "It is Paris.",
    "It is London.",
    "It is Paris. It is London.",
    "Perhaps it is Paris.",
    "I do not know.",
    "",
    "  \n",
]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("judge")
    return str(make_classifier(folder, LABELS, WORDS, scale=SCALE))


def shares(premise: str, hypothesis: str) -> list[float]:
    """Probabilities of the three labels."""
    words = re.findall(r"\w+", f"{premise} {hypothesis}".lower())
    logits = [
        SCALE * sum(WORDS.get(word, (0, 0, 0))[i] for word in words) / len(words) for i in range(3)
    ]
    total = sum(map(math.exp, logits))
    return [math.exp(logit) / total for logit in logits]


def by_hand(text: str, reference: str) -> float:
    if not text.strip():
        return 0.0
    against = max(shares(reference, part)[2] for part in re.split(r"(?<=\.) ", text))
    return shares(text, reference)[0] * (1 - against)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_it_is_entailment_without_contradiction(judge: str, batch_size: int) -> None:
    reward = FactualCorrectnessReward(judge, batch_size=batch_size)
    wanted = [by_hand(text, RIGHT) for text in TEXTS]
    right, wrong, both, hedged, nothing = wanted[:5]
    assert right > hedged > nothing > wrong
    assert right > both + 0.2, "naming both earns less than naming one"
    found = reward.compute_batch(RewardBatch(TEXTS, references=[RIGHT] * len(TEXTS)))
    assert found == pytest.approx(wanted, abs=2e-3)
    back = RewardBatch(TEXTS[::-1], references=[RIGHT] * len(TEXTS))
    assert reward.compute_batch(back) == pytest.approx(found[::-1], abs=1e-5)
    assert reward.compute(TEXTS[2], RIGHT) == pytest.approx(found[2], abs=1e-5)


def test_several_references_and_none(judge: str) -> None:
    reward = FactualCorrectnessReward(judge)
    other = "The capital is London."
    wanted = max(by_hand("It is Paris.", RIGHT), by_hand("It is Paris.", other))
    assert reward.compute("It is Paris.", [other, RIGHT]) == pytest.approx(wanted, abs=2e-3)
    assert reward.compute("It is Paris.", None) is None
    assert reward.compute("It is Paris.", [" "]) is None
    mixed = RewardBatch(["It is Paris.", "It is Paris."], references=[None, RIGHT])
    assert [value is None for value in reward.compute_batch(mixed)] == [True, False]
    assert reward.compute_batch(RewardBatch([], references=[])) == []
    with pytest.raises(TypeError, match="the reference is 7; it is a text or a list of texts"):
        reward.compute("It is Paris.", 7)


def test_sentences_are_read_by_themselves_or_with_neighbours(judge: str) -> None:
    text = "One. Two. Three. Four. Five."
    assert parts_of(text, 8) == ["One.", "Two.", "Three.", "Four.", "Five."]
    assert parts_of(text, 2) == ["One. Two. Three.", "Four. Five."]
    assert parts_of(" \n", 2) == []
    whole = FactualCorrectnessReward(judge, most_sentences=1).compute(TEXTS[2], RIGHT)
    wanted = shares(TEXTS[2], RIGHT)[0] * (1 - shares(RIGHT, TEXTS[2])[2])
    assert whole == pytest.approx(wanted, abs=2e-3)


def test_labels_are_found_by_name_or_told(tmp_path: Path, judge: str) -> None:
    rows = {word: (c, a, b) for word, (a, b, c) in WORDS.items()}
    other = str(make_classifier(tmp_path / "a", ("CONTRADICTION", "Entail", "n"), rows, scale=8))
    wanted = FactualCorrectnessReward(judge).compute(TEXTS[3], RIGHT)
    assert FactualCorrectnessReward(other).compute(TEXTS[3], RIGHT) == pytest.approx(
        wanted, abs=1e-4
    )
    plain = str(make_classifier(tmp_path / "b", [f"LABEL_{i}" for i in range(3)], WORDS, scale=8))
    with pytest.raises(ConfigError, match=r"are 0 LABEL_0, .*; set params\.entailment to the one"):
        FactualCorrectnessReward(plain).load()
    told = FactualCorrectnessReward(plain, entailment=0, contradiction="LABEL_2")
    assert told.compute(TEXTS[3], RIGHT) == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(ConfigError, match=r"params\.contradiction names 'x', and the labels of"):
        FactualCorrectnessReward(plain, entailment=0, contradiction="x").load()
    with pytest.raises(ConfigError, match="name the same label"):
        FactualCorrectnessReward(plain, entailment=0, contradiction=0).load()
    two = str(make_classifier(tmp_path / "two", ("entailment", "not_entailment")))
    with pytest.raises(ConfigError, match=r"set params\.contradiction to the one that stands for"):
        FactualCorrectnessReward(two).load()


def test_facts_and_what_is_refused() -> None:
    entry = plugins.get().rewards.get("factual_correctness")
    cls: Any = entry.load()
    assert cls is FactualCorrectnessReward
    assert entry.facts.install == "aligntune-rewards[models]"
    assert (entry.facts.range, entry.facts.cost) == (cls.range, cls.cost)
    assert cls().revision == "b5113eb38ab63efdd7f280f8c144ea8b13f978ce"
    given = RewardConfig(type="factual_correctness", params={"most_sentences": 0})
    with pytest.raises(ConfigError, match="most_sentences is 0; it must be a whole number from 1"):
        build_scorer([given], plugins.get(), ["answer"])
