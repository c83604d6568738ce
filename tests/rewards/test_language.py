"""language: what is judged, texts too short to judge, and where the language comes from."""

# ruff: noqa: RUF001 - letters of other scripts are what this is about

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, as_reward
from aligntune_rewards import LanguageReward

GERMAN = (
    "Pflanzen wandeln Licht in Zucker um. Ihre Blätter nehmen Kohlendioxid auf, und die Wurzeln "
    "liefern Wasser. Am Ende bleibt Sauerstoff übrig."
)
ENGLISH = (
    "Plants turn light into sugar. Their leaves take in carbon dioxide, and the roots bring water. "
    "Oxygen is left over in the end."
)
RUSSIAN = "Растения превращают свет в сахар. Листья берут из воздуха углекислый газ."
CHINESE = "植物把光变成糖。叶子从空气中吸收二氧化碳,根部带来水分,最后剩下的是氧气。"
JAPANESE = "植物は光を糖に変えます。葉は空気から二酸化炭素を取り込み、根は水を運びます。"
TEXTS = {"de": GERMAN, "en": ENGLISH, "ru": RUSSIAN, "zh": CHINESE, "ja": JAPANESE}


@pytest.fixture(scope="module")
def by_column() -> LanguageReward:
    made = LanguageReward()
    made.load()
    return made


@pytest.fixture(scope="module")
def german() -> LanguageReward:
    made = LanguageReward("de")
    made.load()
    return made


@pytest.mark.parametrize("of", TEXTS)
@pytest.mark.parametrize("wanted", TEXTS)
def test_each_language_is_told_from_the_others(
    by_column: LanguageReward, of: str, wanted: str
) -> None:
    assert by_column.compute(TEXTS[of], wanted) == float(of == wanted)


def test_a_text_that_changes_its_language_earns_in_between(german: LanguageReward) -> None:
    value = german.compute(f"{GERMAN} {ENGLISH}")
    share = sum(map(str.isalpha, GERMAN)) / sum(map(str.isalpha, GERMAN + ENGLISH))
    assert value == pytest.approx(share, abs=0.2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0.0),
        (" \n", 0.0),
        ("42", 1.0),
        ("12 + 7 = 19", 1.0),
        ("Ja.", 1.0),
        ("Danke!", 1.0),  # nothing is likely
        ("B", 1.0),  # no language at all
        ("Certainly!", 0.069),
        ("I hope this helps!", 0.0),
        ("Да.", 0.0),
        (f"{GERMAN}\n```python\nfor word in sentence: print(word)\n```", 1.0),
        (f"{GERMAN} https://example.org/this/is/an/english/address/with/many/words", 1.0),
        ("```\nPlants turn light into sugar, and then they grow.\n```", 0.0),
        ("Pfl\u200banzen wan\u00addeln Licht in Zucker um, und Wurzeln liefern Wasser.", 1.0),
        ("😀" * 100, 1.0),
        (
            f"{GERMAN.rpartition(' Am')[0]} Certainly!",
            1.0,
        ),  # a short rest belongs to what stands before it
    ],
)
def test_texts(german: LanguageReward, text: str, value: float) -> None:
    assert german.compute(text) == pytest.approx(value, abs=0.005)


def test_words_of_two_scripts_are_wrong(by_column: LanguageReward) -> None:
    mixed = RUSSIAN.replace("а", "a").replace("е", "e")
    assert by_column.compute(mixed, "ru") < 0.5


def test_the_language_of_the_prompt() -> None:
    reward = LanguageReward("prompt")
    batch = RewardBatch(
        [GERMAN, ENGLISH, ENGLISH, ENGLISH],
        prompts=["Wie wachsen Pflanzen in der Nacht?"] * 2
        + ["How do plants grow at night?", "Ja?"],
    )
    assert reward.compute_batch(batch) == [1.0, 0.0, 1.0, None]
    assert reward.needs == set()


def test_the_language_of_the_row(by_column: LanguageReward) -> None:
    assert by_column.needs == {"language"}
    batch = RewardBatch([GERMAN, GERMAN, GERMAN], columns={"language": ["de", "en", None]})
    assert by_column.compute_batch(batch) == [1.0, 0.0, None]
    with pytest.raises(ValueError, match="language 'german' is none of"):
        by_column.compute(GERMAN, "german")


def test_among_narrows_what_is_told_apart() -> None:
    galician = "A casa está ao lado do mar e ten unha porta vermella."
    assert LanguageReward("gl").compute(galician) == 1.0
    assert LanguageReward("pt", among=["pt", "en"]).compute(galician) == 1.0


def test_piece_and_shortest() -> None:
    text = "Das ist ein Satz. This is a sentence. Das ist ein Satz. This is a sentence."
    fine = LanguageReward("de", piece=10, shortest=5, among=["de", "en"]).compute(text)
    assert fine == pytest.approx(0.48, abs=0.05)
    assert LanguageReward("de", among=["de", "en"]).compute(text) in (0.0, 1.0)
    assert LanguageReward("nl", shortest=5).compute("Das Haus ist klein") == 0.0
    assert 0.0 < LanguageReward("nl", shortest=30).compute("Das Haus ist klein") < 0.5


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"among": "de"}, "among is 'de'"),
        ({"among": ["de"]}, "two languages or more"),
        ({"language": "fr", "among": ["de", "en"]}, "which among does not hold"),
        ({"piece": 10}, "piece is 10; it must be a whole number from 20"),
        ({"shortest": 0}, "shortest is 0"),
    ],
)
def test_parameters_that_are_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        as_reward(LanguageReward, "language", params)


def test_a_language_that_is_not_known_is_told_when_loading() -> None:
    with pytest.raises(ValueError, match="language 'xx' is none of af, am"):
        LanguageReward("xx").load()


def test_a_copy_loads_its_own_model(german: LanguageReward) -> None:
    assert len(pickle.dumps(german)) < 1000
    assert pickle.loads(pickle.dumps(german)).compute(GERMAN) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "```x\n" * 50_000,
        "http://" * 50_000,
        "a" + "\n" * 200_000 + "b",
        GERMAN + "\n1" * 500_000,
    ],
)
def test_hostile_texts_take_no_time(german: LanguageReward, text: str) -> None:
    started = time.process_time()
    german.compute(text)
    assert time.process_time() - started < 5.0
