"""What every evaluator must be, of those that compare answers or models."""

from __future__ import annotations

import pytest

from aligntune.testing import evaluator_conformance, make_model
from aligntune.testing.evaluators import RegisteredEvaluatorConformance

TestPreferenceAccuracy = evaluator_conformance("preference_accuracy")
TestRewardMargin = evaluator_conformance("reward_margin", params={"length_normalized": True})
TestRewardMarginOfAReward = evaluator_conformance("reward_margin", params={"reward": "length"})
TestWinRate = evaluator_conformance("win_rate", params={"reward": "length"})


@pytest.fixture(scope="class", autouse=True)
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A reference model in the place of REFERENCE."""
    named = request.cls.params
    if named.get("reference_model") == "REFERENCE":
        made = make_model(tmp_path_factory.mktemp("it"), initializer_range=0.3, seed=1)
        request.cls.params = {**named, "reference_model": str(made)}


class TestKl(RegisteredEvaluatorConformance):
    """Of sampled completions, two of each prompt."""

    evaluator = "kl"
    params = {"reference_model": "REFERENCE"}  # noqa: RUF012
    settings = {"temperature": 1.0, "num_samples": 2}  # noqa: RUF012


class TestImplicitRewards(RegisteredEvaluatorConformance):
    """Of a reference model."""

    evaluator = "reward_margin"
    params = {"reference_model": "REFERENCE", "beta": 1.0}  # noqa: RUF012
