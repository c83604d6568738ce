"""A model whose numbers overflow, as in half precision, gives no reward: the run ends with why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aligntune.errors import RewardError
from aligntune.scoring import RewardBatch
from aligntune.scoring.faults import raw_values
from aligntune.testing import make_bigram_model, make_classifier, make_encoder
from aligntune_rewards import (
    BertscoreReward,
    BiasReward,
    CoherenceReward,
    FactualCorrectnessReward,
    FluencyReward,
    RelevanceReward,
    SemanticSimilarityReward,
    ToxicityReward,
)
from aligntune_rewards.learned.model_reward import ModelReward

CASES: dict[str, Callable[[str, str, str], ModelReward]] = {
    "bertscore": lambda _, encoder, __: BertscoreReward(encoder),
    "semantic_similarity": lambda _, encoder, __: SemanticSimilarityReward(encoder),
    "relevance": lambda _, encoder, __: RelevanceReward(encoder),
    "relevance/ranker": lambda _, __, ranker: RelevanceReward(ranker, backend="cross-encoder"),
    "fluency": lambda bigrams, _, __: FluencyReward(bigrams),
    "toxicity": lambda _, __, labels: ToxicityReward(labels),
    "bias": lambda _, __, labels: BiasReward(labels, unsafe="fits"),
    "coherence": lambda bigrams, _, __: CoherenceReward(bigrams),
}


@pytest.mark.parametrize("case", [*CASES, "factual_correctness"])
def test_nan_is_not_turned_into_a_number(case: str, tmp_path: Path) -> None:
    if case == "factual_correctness":
        labels = ("entailment", "neutral", "contradiction")
        nli = make_classifier(tmp_path / "nli", labels, {"bee": (1.0, 0.0, -1.0)})
        reward: ModelReward = FactualCorrectnessReward(str(nli))
    else:
        reward = CASES[case](
            str(make_bigram_model(tmp_path / "bigrams", "a bee flies\na bee sleeps")),
            str(make_encoder(tmp_path / "encoder", {"bee": (1.0, 0.0), "flies": (0.0, 1.0)})),
            str(make_classifier(tmp_path / "ranker", ("fits",), {"bee": 1.0})),
        )
    batch = RewardBatch(["a bee flies"], ["tell me of a hive"], [["a bee sleeps", "it flies"]])
    assert raw_values(case, reward, batch)[0] is not None
    with torch.no_grad():
        for weight in reward.loaded.model.parameters():
            weight.fill_(float("nan"))
    with pytest.raises(RewardError, match="returned nan for sample 0 of 1"):
        raw_values(case, reward, batch)
