"""bertscore and semantic_similarity: an encoder whose hidden states numpy works out here."""

from __future__ import annotations

import logging
import math
import pickle
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aligntune import plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, build_scorer
from aligntune.testing import make_encoder
from aligntune_rewards import BertscoreReward, SemanticSimilarityReward
from aligntune_rewards.learned.embedder import EMBEDDER

_CHOSEN = random.Random(0)
WORDS = {
    word: [_CHOSEN.gauss(0.3, 1) for _ in range(5)]
    for word in [
        "the",
        "a",
        "cat",
        "dog",
        "sits",
        "runs",
        "on",
        "under",
        "mat",
        "tree",
        "fast",
        "slow",
    ]
}
CONTEXT = 0.7
TEXTS = ["the cat sits on a mat", "dog", "A fast dog runs, under the tree!", "zebra cat", "", " "]
RIGHT = ["the dog sits", "a slow dog runs on the mat", "tree", "the zebra", "cat", "cat"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_encoder(tmp_path_factory.mktemp("encoder"), WORDS, context=CONTEXT))


def states(text: str, layer: int = 1) -> Any:
    """Hidden states of a text's tokens, by the formula of `make_encoder`."""
    words = re.findall(r"\w+", text.lower())
    rows = [[0.0] * 5 + [0.0]]
    rows += [[*WORDS[word], 0.0] if word in WORDS else [0.0] * 5 + [1.0] for word in words]
    rows += [[0.0] * 6]
    vectors = normal(np.concatenate([np.array(rows), -np.array(rows)], axis=1))
    if layer == 0:
        return vectors
    mixed = normal(vectors + CONTEXT * vectors.mean(axis=0))
    return normal(mixed)


def normal(vectors: Any) -> Any:
    """Layer normalization over the last axis."""
    mean, variance = vectors.mean(-1, keepdims=True), vectors.var(-1, keepdims=True)
    return (vectors - mean) / np.sqrt(variance + 1e-12)


def by_hand(text: str, reference: str, layer: int = 1) -> dict[str, float]:
    """BERTScore by its definition: special tokens may be matched, and are not averaged over."""
    if not text.strip():
        return dict.fromkeys(("precision", "recall", "f"), 0.0)
    y, x = unit(states(text, layer)), unit(states(reference, layer))
    near = y @ x.T
    precision = near.max(axis=1)[1:-1].mean()
    recall = near.max(axis=0)[1:-1].mean()
    f = 2 * precision * recall / (precision + recall)
    return {"precision": precision, "recall": recall, "f": f}


def unit(vectors: Any) -> Any:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)


def batch(texts: Sequence[str], references: Sequence[Any]) -> RewardBatch:
    return RewardBatch(texts, references=references)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("measure", ["precision", "recall", "f"])
def test_bertscore_is_greedy_matching(encoder: str, batch_size: int, measure: Any) -> None:
    reward = BertscoreReward(encoder, measure=measure, batch_size=batch_size)
    wanted = [by_hand(t, r)[measure] for t, r in zip(TEXTS, RIGHT, strict=True)]
    assert len(set(np.round(wanted, 3))) > 3
    assert reward.compute_batch(batch(TEXTS, RIGHT)) == pytest.approx(wanted, abs=1e-5)
    order = [3, 0, 5, 1, 4, 2]
    turned = batch([TEXTS[i] for i in order], [RIGHT[i] for i in order])
    assert reward.compute_batch(turned) == pytest.approx([wanted[i] for i in order], abs=1e-5)
    assert reward.compute(TEXTS[0], RIGHT[0]) == pytest.approx(wanted[0], abs=1e-5)


def test_bertscore_of_the_reference_itself_and_of_several(encoder: str) -> None:
    reward = BertscoreReward(encoder)
    assert reward.compute(RIGHT[1], RIGHT[1]) == pytest.approx(1.0, abs=1e-6)
    wanted = max(by_hand(TEXTS[0], each)["f"] for each in RIGHT[:3])
    assert reward.compute(TEXTS[0], RIGHT[:3]) == pytest.approx(wanted, abs=1e-5)
    assert reward.compute(TEXTS[0], None) is None
    assert reward.compute(TEXTS[0], ["", " "]) is None
    assert reward.compute_batch(batch(TEXTS[:2], [None, RIGHT[1]]))[0] is None
    with pytest.raises(TypeError, match="the reference is 7; it is a text or a list of texts"):
        reward.compute("cat", 7)


def test_bertscore_after_a_layer_and_with_a_baseline(encoder: str) -> None:
    found = BertscoreReward(encoder, layer=0).compute(TEXTS[0], RIGHT[0])
    assert found == pytest.approx(by_hand(TEXTS[0], RIGHT[0], 0)["f"], abs=1e-5)
    whole = by_hand(TEXTS[0], RIGHT[0])["f"]
    assert abs(whole - (found or 0)) > 0.01
    for layer in (None, 1):
        assert BertscoreReward(encoder, layer=layer).compute(TEXTS[0], RIGHT[0]) == pytest.approx(
            whole, abs=1e-5
        )
    spread = BertscoreReward(encoder, baseline=0.3).compute(TEXTS[0], RIGHT[0])
    assert spread == pytest.approx((whole - 0.3) / 0.7, abs=1e-5)
    assert BertscoreReward(encoder, baseline=0.99).compute(TEXTS[0], RIGHT[0]) == 0.0
    with pytest.raises(ConfigError, match=r"params\.layer is 2, and '.*' has 1 layers"):
        BertscoreReward(encoder, layer=2).load()
    assert BertscoreReward().layer == 9
    assert BertscoreReward("microsoft/deberta-xlarge-mnli").layer == 40
    assert (
        BertscoreReward("roberta-large").layer == BertscoreReward("FacebookAI/roberta-large").layer
    )
    assert BertscoreReward().revision == "3f076fdb1ab68d5b2880cb87a0886f315b8146f8"
    assert BertscoreReward("other/model").revision is None
    assert BertscoreReward(revision="main").revision == "main"


def test_bertscore_says_which_layer_of_an_unknown_model_counts(
    encoder: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    unknown = BertscoreReward(encoder)
    assert unknown.layer is None
    assert unknown.record() == {}
    with caplog.at_level(logging.INFO, "aligntune"):
        unknown.load()
    assert unknown.record() == {"layer": 1}
    assert "it is the last (1); params.layer sets another" in caplog.text
    assert BertscoreReward(encoder, layer=0).record() == {"layer": 0}
    known = tmp_path / "deberta-v3-large"
    known.mkdir()
    assert BertscoreReward(str(known)).layer == 12
    assert BertscoreReward("somebody/deberta-v3-large").layer is None


def pooled(text: str) -> Any:
    """The mean of the hidden states, as a unit vector; special tokens count as any."""
    return unit(states(text).mean(axis=0))


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_similarity_is_the_cosine_of_mean_states(encoder: str, batch_size: int) -> None:
    reward = SemanticSimilarityReward(encoder, batch_size=batch_size)
    wanted = [
        max(0.0, float(pooled(t) @ pooled(r))) if t.strip() else 0.0
        for t, r in zip(TEXTS, RIGHT, strict=True)
    ]
    assert len(set(np.round(wanted, 3))) > 3
    assert reward.compute_batch(batch(TEXTS, RIGHT)) == pytest.approx(wanted, abs=1e-5)
    assert reward.compute_batch(batch(TEXTS[::-1], RIGHT[::-1])) == pytest.approx(
        wanted[::-1], abs=1e-5
    )
    assert reward.compute(TEXTS[0], RIGHT[:3]) == pytest.approx(
        max(float(pooled(TEXTS[0]) @ pooled(each)) for each in RIGHT[:3]), abs=1e-5
    )
    assert reward.compute("the cat", "The cat!") == pytest.approx(1.0, abs=1e-6)
    assert reward.compute("the cat", [""]) is None
    assert reward.compute_batch(batch([], [])) == []


def test_a_cosine_below_0_earns_0(tmp_path: Path) -> None:
    folder = str(make_encoder(tmp_path, {"yes": [1.0, 0.0], "no": [-1.0, 0.2], "so": [0.0, 1.0]}))
    reward = SemanticSimilarityReward(folder)
    assert reward.compute("yes", "no") == 0.0
    assert reward.compute("yes so", "yes") == pytest.approx(math.sqrt(0.5), abs=1e-5)


def test_pooling_is_what_the_model_says(encoder: str, tmp_path: Path) -> None:
    """A folder of sentence-transformers that takes the first token's state, and a prompt."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    first = Transformer(encoder)
    model = SentenceTransformer(
        modules=[first, Pooling(first.get_embedding_dimension(), pooling_mode="cls")],
        prompts={"ask": "cat "},
        default_prompt_name="ask",
        device="cpu",
    )
    model.save(str(tmp_path / "model"))
    reward = SemanticSimilarityReward(str(tmp_path / "model"))
    vectors = [unit(states(f"cat {text}")[0]) for text in (TEXTS[0], RIGHT[0])]
    wanted = float(vectors[0] @ vectors[1])
    assert reward.compute(TEXTS[0], RIGHT[0]) == pytest.approx(wanted, abs=1e-5)
    told = SemanticSimilarityReward(str(tmp_path / "model"), prefix="dog on ")
    vectors = [unit(states(f"dog on {text}")[0]) for text in (TEXTS[0], RIGHT[0])]
    assert told.compute(TEXTS[0], RIGHT[0]) == pytest.approx(
        float(vectors[0] @ vectors[1]), abs=1e-5
    )
    theirs = model.encode([TEXTS[0], RIGHT[0]], normalize_embeddings=True)
    assert reward.compute(TEXTS[0], RIGHT[0]) == pytest.approx(
        float(theirs[0] @ theirs[1]), abs=1e-5
    )


def test_a_model_that_is_no_transformer_is_refused(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    tokenizer = Tokenizer(WordLevel({"cat": 0, "dog": 1}, unk_token="cat"))
    static = StaticEmbedding(tokenizer, embedding_dim=2)
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path))
    with pytest.raises(ConfigError, match=r"is no transformer .*; set params\.model to one that"):
        SemanticSimilarityReward(str(tmp_path)).load()


def test_what_is_too_long_loses_its_beginning_and_is_counted(
    encoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    rewards: list[Any] = [
        BertscoreReward(encoder, max_length=5),
        SemanticSimilarityReward(encoder, max_length=5),
    ]
    for reward in rewards:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "aligntune"):
            found = reward.compute("dog dog dog the cat sits", "cat")
        assert found == pytest.approx(reward.compute("the cat sits", "cat"), abs=1e-6)
        said = f"reward {reward.name!r}: 1 of 2 inputs are longer than 5 tokens"
        assert caplog.messages == [f"{said} and lost their beginning"]


@pytest.mark.parametrize("cls", [BertscoreReward, SemanticSimilarityReward])
def test_copies_and_what_is_missing(cls: Any, encoder: str, language_model: str) -> None:
    reward = cls(encoder)
    before = reward.compute(TEXTS[0], RIGHT[0])
    assert pickle.loads(pickle.dumps(reward)).compute(TEXTS[0], RIGHT[0]) == before
    with pytest.raises(ConfigError, match=r"there is no folder '\./nowhere'; set params\.model"):
        cls("./nowhere").load()
    with pytest.raises(
        ConfigError, match=r"'no/such', which cannot be loaded: .*params\.model.*\[(mod|emb)"
    ):
        cls("no/such").load()
    entry = plugins.get().rewards.get(cls.name)
    extra = "embeddings" if cls is SemanticSimilarityReward else "models"
    assert entry.facts.install == f"aligntune-rewards[{extra}]"
    assert (entry.facts.cost, frozenset(entry.facts.requires)) == (cls.cost, cls.requires)
    # The states of a language model will do as well.
    assert 0.0 <= cls(language_model).compute("cat", "dog") <= 1.0
    assert SemanticSimilarityReward.pinned[EMBEDDER] == SemanticSimilarityReward().revision


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("bertscore", {"layer": -1}, "layer is -1; it must be a whole number from 0"),
        ("bertscore", {"baseline": "0.3"}, r"baseline is '0\.3'; it must be a number"),
        ("bertscore", {"measure": "f1"}, "measure is 'f1'; it is one of f, precision, recall"),
        ("bertscore", {"baseline": 1.0}, r"baseline is 1\.0; it must lie between -1 and 1"),
        ("semantic_similarity", {"batch_size": 0}, "batch_size is 0; it must be a whole"),
    ],
)
def test_what_is_refused(name: str, params: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_scorer([RewardConfig(type=name, params=dict(params))], plugins.get(), ["answer"])
