"""relevance: near the prompt is enough, and copying it is not; with each of its three backends."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, build_scorer
from aligntune.testing import make_classifier, make_encoder
from aligntune_rewards import RelevanceReward
from aligntune_rewards.text.topic import overlap, said_anew

PROMPT = "Where do bees live in winter?"
# Two directions: what bees are about, and what ships are about.
WORDS = {
    **dict.fromkeys(("bees", "winter", "hive", "honey"), (1.0, 0.0)),
    **dict.fromkeys(("ships", "sail", "harbour"), (0.0, 1.0)),
    **dict.fromkeys(("live", "stay", "cold"), (0.6, 0.8)),
    **dict.fromkeys(("where", "do", "in", "they", "the", "a", "it"), (0.3, 0.3)),
}
HONEST = "They stay in the hive."
COPIES = [
    PROMPT,
    PROMPT.upper(),
    "winter in live bees do where",
    "\u200b".join(PROMPT),
    PROMPT.replace("e", "\u0435").replace("i", "\u0456"),
    f"{PROMPT} {PROMPT}\n{PROMPT}",
    "Where do bees live? In winter?",
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_encoder(tmp_path_factory.mktemp("encoder"), WORDS))


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> str:
    weights = {"bees": 0.2, "hive": 1.0, "ships": -1.0}
    return str(make_classifier(tmp_path_factory.mktemp("ranker"), ("fits",), weights, scale=8.0))


def direction(*words: str) -> tuple[float, float]:
    """The mean of the words' directions, each of length 1, then brought to length 1."""
    ways = [WORDS[word] for word in words]
    x, y = (math.fsum(way[i] / math.hypot(*way) for way in ways) for i in (0, 1))
    return x / math.hypot(x, y), y / math.hypot(x, y)


def cosine(a: tuple[float, float], b: tuple[float, float]) -> float:
    return a[0] * b[0] + a[1] * b[1]


@pytest.mark.parametrize("batch_size", [1, 8])
def test_with_vectors_it_is_the_cosine_up_to_enough(encoder: str, batch_size: int) -> None:
    asked = direction("where", "do", "bees", "live", "in", "winter")
    texts = [HONEST, "ships sail", "the harbour, the ships", "honey"]
    ways = [
        direction("they", "stay", "in", "the", "hive"),
        direction("ships", "sail"),
        direction("the", "harbour", "the", "ships"),
        direction("honey"),
    ]
    for enough in (0.5, 0.9, 1.0):
        reward = RelevanceReward(encoder, enough=enough, batch_size=batch_size)
        wanted = [min(1.0, cosine(asked, way) / enough) for way in ways]
        found = reward.compute_batch(RewardBatch(texts, [PROMPT] * len(texts)))
        assert found == pytest.approx(wanted, abs=1e-5)
        back = reward.compute_batch(RewardBatch(texts[::-1], [PROMPT] * len(texts)))
        assert back == pytest.approx(wanted[::-1], abs=1e-5)
    said = [{"role": "system", "content": "ships"}, {"role": "user", "content": PROMPT}]
    reward = RelevanceReward(encoder, enough=1.0)
    with_ships = direction("ships", "where", "do", "bees", "live", "in", "winter")
    assert reward.compute("honey", said) == pytest.approx(cosine(with_ships, ways[3]), abs=1e-5)


def test_with_a_cross_encoder_it_is_its_probability(ranker: str, tmp_path: Path) -> None:
    reward = RelevanceReward(ranker, backend="cross-encoder", enough=1.0)
    for text, mean in ((HONEST, (0.2 + 1.0) / 11), ("ships sail", (0.2 - 1.0) / 8)):
        wanted = 1 / (1 + math.exp(-8.0 * mean))
        assert reward.compute(text, PROMPT) == pytest.approx(wanted, abs=1e-4)
    assert reward.name == "relevance"
    several = str(make_classifier(tmp_path, ("yes", "no")))
    with pytest.raises(ConfigError, match="are 0 yes, 1 no; a cross-encoder has one"):
        RelevanceReward(several, backend="cross-encoder").load()


def test_without_a_model_it_is_asked_for_and_says_so() -> None:
    reward = RelevanceReward(backend="lexical", enough=1.0)
    assert (reward.name, reward.cost) == ("relevance[lexical]", "inline")
    assert reward.compute("The bees stay in the hive all winter.", PROMPT) == pytest.approx(2 / 3)
    assert reward.compute("The ships sail.", PROMPT) == 0.0
    config = RewardConfig(type="relevance", params={"backend": "lexical"})
    scorer = build_scorer([config], plugins.get(), ["prompt"])
    assert [part.name for part in scorer.parts] == ["relevance[lexical]"]
    assert scorer([PROMPT], ["Bees like winter."]) == [1.0]
    assert overlap("What is it?", "It is what it is.") == 1.0
    assert overlap("?", "word") == 0.0


@pytest.mark.parametrize("backend", ["embedding", "cross-encoder", "lexical"])
def test_copying_the_prompt_earns_nothing(backend: Any, encoder: str, ranker: str) -> None:
    params: dict[str, dict[str, Any]] = {
        "embedding": {"model": encoder, "enough": 0.9},
        "cross-encoder": {"model": ranker},
        "lexical": {},
    }
    reward = RelevanceReward(backend=backend, **params[backend])
    answer = HONEST if backend != "lexical" else "Bees stay in the hive over winter."
    honest = reward.compute(answer, PROMPT)
    assert honest == 1.0
    for copy in COPIES:
        assert reward.compute(copy, PROMPT) == 0.0, copy
    # The copy adds nothing to what is said beside it.
    off = "ships sail"
    alone = reward.compute(off, PROMPT) or 0.0
    assert reward.compute(f"{PROMPT} {off}", PROMPT) == pytest.approx(alone, abs=1e-6)
    assert alone < 1.0
    assert [reward.compute(text, PROMPT) for text in ("", " \n")] == [0.0, 0.0]
    assert reward.compute(answer, " ") is None
    with pytest.raises(ValueError, match="no prompts are given"):
        reward.compute(answer)


def test_what_is_said_anew() -> None:
    prompt = "Which is larger, Paris or London?"
    assert said_anew("Paris.", prompt) == "Paris."
    assert said_anew("Paris is larger.", prompt) == "Paris is larger."
    assert said_anew(prompt, prompt) == ""
    assert said_anew(f"{prompt} Paris.", prompt) == ""
    assert said_anew(f"{prompt} London is the larger one.", prompt) == "London is the larger one."
    assert said_anew("7", "What is 3 + 4?") == "7"
    assert said_anew("巴黎是法国的首都。", "法国的首都是哪里?") == "巴黎是法国的首都。"


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (
            {"backend": "words"},
            "backend is 'words'; it is one of embedding, cross-encoder",
        ),
        ({"enough": True}, "enough is True; it must be a number"),
        ({"enough": 0.0}, r"enough is 0\.0; it must lie above 0 and not above 1"),
        ({"backend": "lexical", "model": "x"}, "model has no effect with backend 'lexical'"),
        ({"backend": "lexical", "batch_size": 2}, "batch_size has no effect with backend 'lex"),
        ({"backend": "lexical", "device": "cpu"}, "device has no effect with backend 'lexical'"),
        ({"backend": "lexical", "prefix": "a"}, "prefix has no effect with backend 'lexical'"),
        ({"backend": "cross-encoder", "prefix": "a"}, "prefix has no effect with backend 'cross"),
        ({"model": "./nowhere"}, r"there is no folder '\./nowhere'; set params\.model"),
    ],
)
def test_what_is_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_scorer([RewardConfig(type="relevance", params=params)], plugins.get(), ["prompt"])


def test_defaults_are_pinned() -> None:
    assert RelevanceReward().revision == "86741b4e3f5cb7765a600d3a3d55a0f6a6cb443d"
    ranker = RelevanceReward(backend="cross-encoder")
    assert ranker.model == "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1"
    assert ranker.revision == "1427fd652930e4ba29e8149678df786c240d8825"
