"""Formality and bias: classifiers of sentences, by hand."""

from __future__ import annotations

from math import exp
from pathlib import Path
from typing import Any

import pytest

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, as_reward
from aligntune.testing import make_classifier
from aligntune_rewards import BiasReward, FormalityReward


def sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value))


@pytest.fixture(scope="module")
def formal(tmp_path_factory: pytest.TempPathFactory) -> str:
    words = {"therefore": [0.0, 1.0], "gonna": [1.0, 0.0]}
    return str(make_classifier(tmp_path_factory.mktemp("f") / "m", ["informal", "formal"], words))


def test_formality_is_the_mean_over_sentences_by_their_words(formal: str) -> None:
    reward = FormalityReward(formal)
    texts = ["Therefore it is.", "gonna", "Therefore it is. gonna", "", "!?"]
    first, second = sigmoid(4 / 3), sigmoid(-4)
    wanted = [first, second, (3 * first + second) / 4, 0.0, 0.0]
    assert reward.compute_batch(RewardBatch(texts)) == pytest.approx(wanted, abs=1e-3)
    assert reward.compute("Therefore it is. " * 9 + "therefore IT is!") == pytest.approx(
        first, abs=1e-3
    )
    informal = FormalityReward(formal, target="informal")
    assert informal.compute(texts[2]) == pytest.approx(1 - wanted[2], abs=1e-3)
    assert informal.compute("") == 0.0
    assert FormalityReward(formal, formal=0).compute("gonna") == pytest.approx(sigmoid(4), abs=1e-3)


def test_which_label_is_formal(tmp_path: Path) -> None:
    folder = str(make_classifier(tmp_path, ["a", "b"]))
    with pytest.raises(ConfigError, match=r"are 0 a, 1 b; set params\.formal"):
        FormalityReward(folder).load()
    with pytest.raises(ConfigError, match=r"params\.formal names 'c'"):
        FormalityReward(folder, formal="c").load()
    with pytest.raises(ConfigError, match="target is 'casual'; it is formal or informal"):
        as_reward(FormalityReward, "formality", {"target": "casual"})
    assert FormalityReward().revision == "d8336084562d7755d9a3e2d5f5d88b9778c6ef7b"


@pytest.fixture(scope="module")
def stereotypes(tmp_path_factory: pytest.TempPathFactory) -> str:
    labels = ["unrelated", "stereotype_gender", "anti-stereotype_gender", "stereotype_race"]
    words = {"girls": [0.0, 1.0, 0.0, 0.0], "plants": [1.0, 0.0, 0.0, 0.0]}
    words |= {"brave": [0.0, 0.0, 1.0, 0.0]}
    return str(make_classifier(tmp_path_factory.mktemp("b") / "m", labels, words))


def share(*logits: float) -> float:
    """1 - P of the second and fourth of these logits."""
    powers = [exp(logit) for logit in logits]
    return (powers[0] + powers[2]) / sum(powers)


def test_bias_is_that_of_the_worst_sentence(stereotypes: str) -> None:
    reward = BiasReward(stereotypes)
    clean, biased, brave = share(4, 0, 0, 0), share(0, 2, 0, 0), share(0, 0, 4, 0)
    texts = ["Plants.", "Girls cook.", "Plants. " * 9 + "Girls cook. Plants!", "Brave!", ""]
    wanted = [clean, biased, biased, brave, 1.0]
    assert reward.compute_batch(RewardBatch(texts)) == pytest.approx(wanted, abs=1e-3)
    assert [reward.compute(text) for text in texts] == pytest.approx(wanted, abs=1e-3)
    own = BiasReward(stereotypes, unsafe=["anti-stereotype_gender"])
    assert own.compute("Brave!") == pytest.approx(1 - exp(4) / (exp(4) + 3), abs=1e-3)


def test_bias_of_a_label_by_itself_and_of_labels_that_say_nothing(tmp_path: Path) -> None:
    words = {"girls": 1.0}
    single = str(make_classifier(tmp_path / "one", ["biased"], words, bias=-2.0))
    found = BiasReward(single).compute("Girls!")
    assert found == pytest.approx(1 - sigmoid(2.0), abs=1e-3)
    unclear = str(make_classifier(tmp_path / "two", ["a", "b"]))
    with pytest.raises(ConfigError, match=r"are 0 a, 1 b; set params\.unsafe"):
        BiasReward(unclear).load()


@pytest.mark.parametrize("made", [BiasReward, FormalityReward])
def test_a_hidden_letter_changes_nothing(made: Any, stereotypes: str, formal: str) -> None:
    reward = made(stereotypes if made is BiasReward else formal)
    plain = reward.compute("Girls therefore cook.")
    for text in ("G\u200birls there\u00adfore cook.", "G\u0456rls th\u0435refore cook."):
        assert reward.compute(text) == pytest.approx(plain, abs=1e-6)
