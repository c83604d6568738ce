"""Several reward models as one: values by hand, one scale, and what is refused."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, build_reward
from aligntune.testing import make_classifier
from aligntune_rewards import RewardEnsembleReward
from aligntune_rewards.learned import models as loading
from aligntune_rewards.learned.reward_ensemble import _calibration_rows

TEXTS = ["good", "good bad", "nice", "good nice word word"]
# 4 times the mean weight of the words, by the weights of each of the three models.
LOGITS = [[4.0, 0.0, 0.0, 1.0], [4.0, 2.0, 2.0, 1.5], [2.0, -1.0, -4.0, -0.5]]


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    words = [
        {"good": 1.0, "bad": -1.0},
        {"good": 1.0, "nice": 0.5},
        {"good": 0.5, "bad": -1.0, "nice": -1.0},
    ]
    folder = tmp_path_factory.mktemp("judges")
    return [str(make_classifier(folder / str(i), words=each)) for i, each in enumerate(words)]


def score(models: Any, **params: Any) -> list[Any]:
    reward = RewardEnsembleReward(models, inputs="completion", **params)
    reward.load()
    return list(reward.compute_batch(RewardBatch(TEXTS)))


COLUMNS = list(zip(*LOGITS, strict=True))


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"aggregate": "mean"}, [statistics.fmean(c) for c in COLUMNS]),
        ({"aggregate": "worst"}, [min(c) for c in COLUMNS]),
        ({}, [min(c) for c in COLUMNS]),
        (
            {"aggregate": "uncertainty"},
            [statistics.fmean(c) - statistics.pvariance(c) for c in COLUMNS],
        ),
        (
            {"aggregate": "uncertainty", "penalty": 0.5, "spread": "std"},
            [statistics.fmean(c) - 0.5 * statistics.pstdev(c) for c in COLUMNS],
        ),
    ],
)
def test_values_are_those_of_the_paper(
    judges: list[str], params: dict[str, Any], wanted: list[float]
) -> None:
    assert score(judges, **params) == pytest.approx(wanted, abs=2e-3)


def test_calibration_brings_models_to_one_scale(
    judges: list[str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [{"prompt": "", "completion": text} for text in TEXTS]
    scaled = [
        [(value - statistics.fmean(row)) / statistics.pstdev(row) for value in row]
        for row in LOGITS
    ]
    wanted = [min(column) for column in zip(*scaled, strict=True)]
    assert score(judges, calibration=rows) == pytest.approx(wanted, abs=2e-3)
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert score(judges, calibration=str(path)) == pytest.approx(wanted, abs=2e-3)
    # A model in another unit then counts as much as the one it was made from.
    louder = make_classifier(
        tmp_path_factory.mktemp("loud"), words={"good": 1.0, "bad": -1.0}, scale=40.0, bias=7.0
    )
    same = score([judges[0], str(louder)], calibration=rows, aggregate="uncertainty")
    assert same == pytest.approx(scaled[0], abs=2e-3)


def test_the_prompt_is_read_and_parameters_reach_the_models(judges: list[str]) -> None:
    reward = RewardEnsembleReward(
        [judges[0], {"model": judges[1], "inputs": "completion", "batch_size": 1}], batch_size=2
    )
    assert [member.batch_size for member in reward.members] == [2, 1]
    assert reward.compute("good", prompt="word word word") == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(ValueError, match="no prompts are given"):
        reward.compute("good")


def test_each_model_is_loaded_once(judges: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = loading._load

    def noted(weights: Any, kind: Any, said_by: str) -> Any:
        loaded.append(weights.model)
        return load(weights, kind, said_by)

    monkeypatch.setattr(loading, "_load", noted)
    reward = RewardEnsembleReward(judges, inputs="completion", dtype="float32")
    reward.load()
    for _ in range(3):
        reward.compute_batch(RewardBatch(TEXTS))
    assert loaded == judges


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"models": ["x"]}, "two reward models or more"),
        ({"models": "xy"}, "two reward models or more"),
        ({"models": {"x": 1, "y": 2}}, "two reward models or more"),
        ({"models": ["x", None]}, "no name, folder or mapping"),
        ({"models": ["x", "x"]}, "names one twice"),
        ({"models": ["x", {"modle": "y"}]}, "a mapping holds params of reward_model"),
        ({"models": ["x", {"model": "y", "batch_size": 0}]}, "batch_size is 0"),
        ({"aggregate": "max"}, "it is one of mean, worst, uncertainty"),
        ({"penalty": 1.0}, "no effect unless aggregate is uncertainty"),
        ({"spread": "std"}, "no effect unless aggregate is uncertainty"),
        ({"aggregate": "uncertainty", "spread": "range"}, "it is variance or std"),
        ({"aggregate": "uncertainty", "penalty": -1}, "penalty is -1"),
        ({"calibration": []}, "needs two rows"),
        ({"calibration": [{"prompt": ""}] * 2}, "consists of rows of `prompt` and `completion`"),
        ({"calibration": [{"prompt": "", "completion": None}] * 2}, "a completion is text"),
        ({"calibration": "no-such.jsonl"}, "cannot be read"),
        ({"inputs": "both"}, "inputs is 'both'"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
    ],
)
def test_what_is_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_reward("reward_ensemble", {"models": ["x", "y"], **params}, plugins.get())


def test_a_file_for_calibration_may_hold_separators_of_lines(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "", "completion": "a\u2028b"}\r\n' * 2, encoding="utf-8")
    assert _calibration_rows(str(file)) == [("", "a\u2028b")] * 2


def test_what_is_refused_when_it_is_loaded(judges: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'reward_ensemble\[\./none\]': there is no folder"):
        RewardEnsembleReward([judges[0], "./none"]).load()
    rows = [{"prompt": "", "completion": "word"}] * 3
    with pytest.raises(ConfigError, match=r"gives all rows of params\.calibration 0; calibrate"):
        RewardEnsembleReward(judges, calibration=rows).load()
