"""Cases of the group text."""

from __future__ import annotations

import random

from aligntune.testing import make_bigram_model, make_classifier, make_encoder
from aligntune_rewards import (
    CoherenceReward,
    DiversityReward,
    FluencyReward,
    ReadabilityReward,
    RelevanceReward,
)
from aligntune_rewards.words import words
from hacking import Case, Get
from hacking.tricks import STOCK

QUESTION = "Why should people look after the bees that live in their gardens?"
HONEST = (
    "During a single day a bee visits several hundred flowers and carries pollen from one plant to "
    "another. Without this constant help, much of our fruit and vegetables would never grow. "
    "People who want to protect them can plant different wild flowers and leave some old wood for "
    "their nests."
)

SHUFFLED = " ".join(sorted(HONEST.replace(".", "").replace(",", "").split()))
OFF = "Ships sail out of the harbour on Monday."
ON_TOPIC = (
    "bees bee flowers pollen plant plants gardens garden wild wood nests fruit vegetables live look"
)


def bigrams(get: Get) -> str:
    """A language model that knows the answer, and the phrases ten times better."""
    known = "\n".join([*HONEST.splitlines(), QUESTION, *STOCK * 10])
    return str(make_bigram_model(get("tmp_path") / "bigrams", known, smoothing=0.02))


def encoder(get: Get) -> str:
    """Words of the question's matter go one way, and each other word goes its own."""
    chosen = random.Random(0)
    vectors = {}
    for word in dict.fromkeys(words(" ".join([QUESTION, HONEST, OFF, ON_TOPIC, *STOCK]))):
        matter = 8.0 if word in ON_TOPIC.split() else 0.0
        vectors[word] = [matter, *(chosen.gauss(0, 1) for _ in range(48))]
    return str(make_encoder(get("tmp_path") / "encoder", vectors))


def ranker(get: Get) -> str:
    """A cross-encoder that looks for words of an answer."""
    weights = dict.fromkeys(words(ON_TOPIC), 1.0) | dict.fromkeys(words(OFF), -1.0)
    return str(make_classifier(get("tmp_path") / "ranker", ("fits",), weights, scale=20.0))


CASES: dict[str, Case] = {
    "readability": Case(
        build=lambda get: ReadabilityReward(),
        honest=HONEST,
        poor="Bees. Bees are good. Good bees. Love bees. Be a bee.",
        prompt=QUESTION,
    ),
    "readability/hard": Case(
        build=lambda get: ReadabilityReward(),
        honest=HONEST,
        poor=(
            "Apicultural sustainability necessitates institutional prioritization of biodiversity "
            "conservation initiatives, notwithstanding administrative complexities associated with "
            "horticultural diversification in residential environments."
        ),
        prompt=QUESTION,
    ),
    "diversity": Case(
        build=lambda get: DiversityReward(),
        honest=HONEST,
        poor="Bees are good and bees are good, so bees are good.",
        prompt=QUESTION,
    ),
    "fluency": Case(
        build=lambda get: FluencyReward(bigrams(get), midpoint=20.0, enough=8.0),
        honest=HONEST,
        poor=SHUFFLED,
        prompt=QUESTION,
    ),
    "coherence": Case(
        build=lambda get: CoherenceReward(bigrams(get), midpoint=20.0, enough=8.0),
        honest=HONEST,
        poor=SHUFFLED,
        prompt=QUESTION,
    ),
    "relevance": Case(
        build=lambda get: RelevanceReward(encoder(get), enough=0.5),
        honest=HONEST,
        poor=OFF,
        prompt=QUESTION,
    ),
    "relevance/ranked": Case(
        build=lambda get: RelevanceReward(ranker(get), backend="cross-encoder"),
        honest=HONEST,
        poor=OFF,
        prompt=QUESTION,
    ),
    "relevance/lexical": Case(
        build=lambda get: RelevanceReward(backend="lexical"),
        honest="People should look after bees, since the gardens would have no fruit without them.",
        poor=OFF,
        prompt=QUESTION,
    ),
}
