"""Reward models from texts that reward functions score: by themselves, and within a run."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import aligntune
from aligntune import RewardModelTrainingConfig, create_rl_trainer, train_reward_model
from aligntune.cli.main import app
from aligntune.errors import ConfigError, DataError, RewardError
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_rewards import RewardModelReward
from aligntune_trl.reward_modeling.correlation import ranks, spearman
from aligntune_trl.reward_modeling.texts import held_out, standardised

REWARDS = """
def share(text):
    return text.count("a") / len(text)

def near(text, reference):
    return -abs(len(text) - len(reference))

def same(text):
    return 1.0

def broken(text):
    return 1 / (len(text) - len(text))
"""


def texts(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdef ", k=rng.randint(4, 24))) for _ in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    return folder


@pytest.fixture(autouse=True)
def rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text_rewards.py").write_text(REWARDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("text_rewards", None)


def settings(folder: Path, output: Path, **more: Any) -> dict[str, Any]:
    return {
        "base_model_name": str(folder / "model"),
        "training_texts": texts(60),
        "reward_functions": ["text_rewards:share"],
        "output_dir": str(output),
        "num_epochs": 2,
        "learning_rate": 3e-3,
        "batch_size": 8,
        "gradient_accumulation_steps": 1,
        "max_length": 32,
        **more,
    }


# The numbers


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 4000], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        # The ranks 1 2 3 4 5 and 2 1 4 3 5: 1 - 6 * 4 / (5 * 24)
        ([1, 2, 3, 4, 5], [20, 10, 40, 30, 50], 0.8),
        # Ranks with ties, 1.5 1.5 3 4 and 1 2 3.5 3.5, correlated by Pearson's formula by hand
        ([7, 7, 8, 9], [1, 2, 3, 3], 4 / 4.5),
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_rank_correlations_are_those_made_by_hand(
    one: list[float], other: list[float], expected: float | None
) -> None:
    found = spearman(one, other)
    assert found == (expected if expected is None else pytest.approx(expected, abs=1e-12))


def test_rank_correlations_are_pearsons_of_ranks_by_numpy() -> None:
    rng = random.Random(0)
    for _ in range(20):
        one = [rng.randint(0, 6) for _ in range(15)]
        other = [rng.randint(0, 6) for _ in range(15)]
        expected = np.corrcoef(ranks(one), ranks(other))[0, 1]
        assert spearman(one, other) == pytest.approx(expected, abs=1e-12)
    assert ranks([30, 10, 20, 10]) == [4, 1.5, 3, 1.5]


def test_equal_texts_are_not_trained_on_and_measured_with() -> None:
    some = texts(20) * 2
    apart = held_out(some)
    out = {text for text, is_out in zip(some, apart, strict=True) if is_out}
    kept = {text for text, is_out in zip(some, apart, strict=True) if not is_out}
    assert len(out) == 4
    assert not out & kept
    assert sum(held_out(texts(10))) == 3
    with pytest.raises(DataError, match="20 texts of which 2 are different: too few"):
        held_out(["a", "b"] * 10)


def test_scores_are_standardised() -> None:
    assert standardised([1.0, 3.0]) == (2.0, 1.0)
    with pytest.raises(DataError, match="has the score 2"):
        standardised([2.0, 2.0])


# Training


def test_a_reward_model_learns_the_scores_of_texts(folder: Path, tmp_path: Path) -> None:
    given = settings(folder, tmp_path / "judge", training_texts=texts(150), num_epochs=8)
    made = train_reward_model(RewardModelTrainingConfig(**given))
    report = made.report
    assert report["held_out"] == 30
    assert report["trained_on"] == 120
    assert report["spearman"] > 0.6
    assert report["mse"] < 0.7 * report["mse_of_mean"]
    assert report["losses"][-1] < report["losses"][0] / 2
    # What it says is what the reward says, and the report is of that.
    apart = held_out(given["training_texts"])
    some = [text for text, out in zip(given["training_texts"], apart, strict=True) if out]
    reward = RewardModelReward(str(made.path))
    said = [reward.compute(text) for text in some]
    shares = [text.count("a") / len(text) for text in some]
    tokenizer: Any = AutoTokenizer.from_pretrained(folder / "model")
    lengths = [len(tokenizer(text)["input_ids"]) for text in some]
    assert spearman(said, shares) == pytest.approx(report["spearman"], abs=1e-9)  # type: ignore[arg-type]
    assert spearman(said, lengths) == pytest.approx(report["length_correlation"], abs=1e-9)  # type: ignore[arg-type]
    assert spearman(shares, lengths) == report["length_correlation_of_scores"]
    aims = [(share - report["score_mean"]) / report["score_deviation"] for share in shares]
    errors = [(one - aim) ** 2 for one, aim in zip(said, aims, strict=True)]  # type: ignore[operator]
    assert sum(errors) / len(errors) == pytest.approx(report["mse"], abs=1e-6)


def test_the_first_step_is_that_of_the_formula(folder: Path, tmp_path: Path) -> None:
    """One epoch of one batch: its loss is the mean of (r(x) - z)^2 under the first weights."""
    rows = texts(20)
    given = settings(folder, tmp_path / "judge", training_texts=rows, num_epochs=1, batch_size=99)
    report = train_reward_model(given).report
    torch.manual_seed(42)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder / "model", num_labels=1, dtype=torch.float32
    ).double()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder / "model")
    kept = [text for text, out in zip(rows, held_out(rows), strict=True) if not out]
    scores = np.array([text.count("a") / len(text) for text in kept])
    aims = (scores - scores.mean()) / scores.std()
    with torch.no_grad():
        said = [model(**tokenizer(text, return_tensors="pt")).logits.item() for text in kept]
    assert report["losses"] == [pytest.approx(((np.array(said) - aims) ** 2).mean(), abs=1e-6)]
    trained = AutoModelForSequenceClassification.from_pretrained(tmp_path / "judge")
    moved = (trained.score.weight - model.score.weight).abs().median().item()
    assert moved == pytest.approx(given["learning_rate"], rel=0.02), "a step of AdamW, not of 0"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_epochs", 3),
        ("learning_rate", 1e-3),
        ("batch_size", 4),
        ("gradient_accumulation_steps", 2),
        ("max_length", 4),
        ("reward_functions", ["text_rewards:near"]),
        ("training_texts", texts(60, seed=1)),
    ],
)
def test_every_setting_changes_the_model(
    folder: Path, tmp_path: Path, field: str, value: Any
) -> None:
    beside: dict[str, Any] = {"reference_texts": ["abcd"] * 60} if "near" in str(value) else {}
    plain = train_reward_model(settings(folder, tmp_path / "plain"))
    other = train_reward_model(settings(folder, tmp_path / "other", **{field: value}, **beside))
    assert other.report["losses"] != plain.report["losses"] or field == "max_length"
    assert other.report != plain.report
    with pytest.raises(ConfigError, match=f"holds a reward model with another .*{field}"):
        train_reward_model(settings(folder, tmp_path / "plain", **{field: value}, **beside))


def test_weights_and_references_reach_the_scores(folder: Path, tmp_path: Path) -> None:
    rows = texts(30)
    both = {
        "training_texts": rows,
        "reward_functions": ["text_rewards:share", "text_rewards:near"],
        "reference_texts": [text[:3] for text in rows],
        "num_epochs": 1,
    }
    one = train_reward_model(settings(folder, tmp_path / "one", **both, reward_weights=[2, 0]))
    scores = [2 * text.count("a") / len(text) for text in rows]
    apart = held_out(rows)
    mean, deviation = standardised([s for s, o in zip(scores, apart, strict=True) if not o])
    assert (one.report["score_mean"], one.report["score_deviation"]) == (mean, deviation)
    two = train_reward_model(settings(folder, tmp_path / "two", **both, reward_weights=[0, 1]))
    distances = [-abs(len(text) - 3) for text in rows]
    mean, deviation = standardised([s for s, o in zip(distances, apart, strict=True) if not o])
    assert (two.report["score_mean"], two.report["score_deviation"]) == (mean, deviation)


def test_a_finished_model_is_found_again_and_never_taken_for_another(
    folder: Path, tmp_path: Path
) -> None:
    given = settings(folder, tmp_path / "judge")
    first = train_reward_model(given)
    weights = (first.path / "model.safetensors").read_bytes()
    again = train_reward_model(given)
    assert (again.reused, again.report) == (True, first.report)
    elsewhere = train_reward_model(settings(folder, tmp_path / "again"))
    assert (elsewhere.path / "model.safetensors").read_bytes() == weights
    # A reward of the same name that says something else.
    (tmp_path / "text_rewards.py").write_text(REWARDS.replace('"a"', '"bc"'))
    sys.modules.pop("text_rewards")
    with pytest.raises(ConfigError, match="with another values of reward_functions"):
        train_reward_model(given)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else than a reward model"):
        train_reward_model(settings(folder, tmp_path / "else"))


def test_what_fails_leaves_no_model_behind(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RewardError, match=r"reward 'broken' raised ZeroDivisionError.*on sample 0"):
        train_reward_model(
            settings(folder, tmp_path / "j", reward_functions=["text_rewards:broken"])
        )
    with pytest.raises(DataError, match="every text has the score 1, so there is nothing to learn"):
        train_reward_model(settings(folder, tmp_path / "j", reward_functions=["text_rewards:same"]))
    with pytest.raises(DataError, match="'near' needs a reference"):
        train_reward_model(settings(folder, tmp_path / "j", reward_functions=["text_rewards:near"]))
    with pytest.raises(ConfigError, match=r"base_model_name: 'no/such' cannot be loaded"):
        train_reward_model(settings(folder, tmp_path / "j", base_model_name="no/such"))
    with pytest.raises(ConfigError, match="unknown reward 'lenght'; did you mean 'length'"):
        train_reward_model(settings(folder, tmp_path / "j", reward_functions=["lenght"]))
    assert not (tmp_path / "j").exists()
    assert not list(tmp_path.glob(".j-*"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"training_texts": ["a"] * 9}, "at least 10 items"),
        ({"epochs": 3}, "epochs: unknown key\n    did you mean 'num_epochs'?"),
        ({"qqq": 3}, "qqq: unknown key\n    known here: base_model_name, "),
        ({"reference_texts": ["a"] * 3}, "3 reference_texts for 60 texts"),
        ({"reward_weights": [1, 2]}, "2 reward_weights for 1 rewards"),
    ],
)
def test_lists_that_do_not_fit_are_refused(
    folder: Path, tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        train_reward_model(settings(folder, tmp_path / "judge", **given))


def test_the_command(folder: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    (tmp_path / "judge.json").write_text(json.dumps(settings(folder, tmp_path / "judge")))
    done = CliRunner().invoke(app, ["reward-model", str(tmp_path / "judge.json"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["path"] == str(tmp_path / "judge")
    done = CliRunner().invoke(app, ["reward-model", str(tmp_path / "judge.json")])
    assert "rank correlation with the scores" in done.stdout


# Within a run


def run_of(folder: Path, tmp_path: Path, source: dict[str, Any], **more: Any) -> Any:
    return create_rl_trainer(
        **{
            "algorithm": "grpo",
            "backend": "trl",
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "output_dir": str(tmp_path / "run"),
            "precision": "fp32",
            "batch_size": 4,
            "max_completion_length": 4,
            "max_steps": 2,
            "logging_steps": 1,
            "loggers": "none",
            "reward_model_source": source,
            **more,
        }
    )


@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_a_run_trains_its_reward_model_and_learns_from_it(
    folder: Path, tmp_path: Path, algorithm: str
) -> None:
    training = settings(folder, tmp_path / "run" / "judge", training_texts=texts(30))
    source = {"source_type": "custom_trained", "training_config": training}
    # From a reward function and from the reward model, both.
    more = {"algorithm": algorithm, "rewards": [{"type": "length", "weight": 0.5}]}
    run = run_of(folder, tmp_path, source, **more).train()
    judge = RewardModelReward(str(tmp_path / "run" / "judge"))
    samples = [json.loads(line) for line in run.samples.read_text().splitlines()]
    assert len(samples) == 8
    for sample in samples:
        said = sample["rewards"]
        assert said["reward_model"] == pytest.approx(judge.compute(sample["completion"]), abs=1e-5)
        total = 0.5 * said["length"] + said["reward_model"]
        assert sample["reward"] == pytest.approx(total, abs=1e-5)
    found = json.loads(run.reward_model.read_text())
    assert found["report"]["held_out"] == 6
    assert not found["reused"]
    # A second run finds the model, and has the same numbers.
    before = run.metrics.read_text()
    run = run_of(folder, tmp_path, source, **more).train(overwrite=True)
    assert json.loads(run.reward_model.read_text()) == found | {"reused": True}
    assert numbers(run.metrics.read_text()) == numbers(before)


def numbers(metrics: str) -> list[tuple[float, float]]:
    lines = [json.loads(line) for line in metrics.splitlines()]
    return [(line["reward"], line["loss"]) for line in lines if "reward" in line]


def test_a_reward_model_is_trained_further_within_a_run(folder: Path, tmp_path: Path) -> None:
    first = train_reward_model(settings(folder, tmp_path / "first"))
    training = settings(first.path, tmp_path / "second", base_model_name=str(first.path))
    source = {
        "source_type": "pretrained_local",
        "model_path": str(first.path),
        "fine_tune_with_rewards": True,
        "training_config": training,
    }
    run = run_of(folder, tmp_path, source).train()
    found = json.loads(run.reward_model.read_text())
    assert found["path"] == str(tmp_path / "second")
    assert found["report"]["losses"][0] < first.report["losses"][0]  # it goes on from there
    weights = [
        (path / "model.safetensors").read_bytes() for path in (first.path, tmp_path / "second")
    ]
    assert weights[0] != weights[1]


def test_what_is_to_be_trained_further_is_a_reward_model(folder: Path, tmp_path: Path) -> None:
    source = {
        "source_type": "pretrained_local",
        "model_path": str(folder / "model"),
        "fine_tune_with_rewards": True,
        "training_config": settings(folder, tmp_path / "judge"),
    }
    with pytest.raises(
        ConfigError, match=r"base_model_name: .* is no reward model: it lacks score"
    ):
        run_of(folder, tmp_path, source).setup()


def test_a_run_that_cannot_start_trains_no_reward_model(folder: Path, tmp_path: Path) -> None:
    source = {"source_type": "custom_trained", "training_config": settings(folder, tmp_path / "j")}
    with pytest.raises(DataError, match="16 prompts are fewer than the 32"):
        run_of(folder, tmp_path, source, batch_size=64, num_generations=2).setup()
    with pytest.raises(DataError, match="no_such_column"):
        run_of(
            folder,
            tmp_path,
            source,
            rewards=[{"type": "accuracy", "params": {"reference_column": "no_such_column"}}],
        ).setup()
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(
    ("source", "training", "more", "says"),
    [
        ({"fine_tune_with_rewards": True}, {}, {}, "is trained on what reward functions score"),
        ({}, {}, {"reward_model_name": "a/b"}, "`model.reward_model_source` trains another one"),
        ({}, {"output_dir": "run/model"}, {}, "is where the run itself writes"),
        ({}, {"output_dir": "run"}, {}, "is where the run itself writes"),
        ({}, {"reward_functions": ["lenght"]}, {}, "did you mean 'length'"),
        ({}, {}, {"num_processes": 2}, "2 processes would each train it"),
        (
            {
                "source_type": "pretrained_hf",
                "model_name": "a/b",
                "fine_tune_with_rewards": True,
            },
            {},
            {},
            "the model to train further is 'a/b'",
        ),
        ({"source_type": "pretrained_hf", "model_name": "a/b"}, {}, {}, "is trained already"),
    ],
)
def test_sources_that_contradict_themselves_are_refused_while_planning(  # noqa: PLR0917
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: dict[str, Any],
    training: dict[str, Any],
    more: dict[str, Any],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = settings(folder, tmp_path / "judge") | training
    whole = {"source_type": "custom_trained", "training_config": given, **source}
    with pytest.raises(ConfigError, match=says):
        run_of(folder, tmp_path, whole, **more)
    assert not (tmp_path / "judge").exists()


def test_it_is_there_for_python_users() -> None:
    assert aligntune.train_reward_model is train_reward_model
    assert aligntune.TrainedRewardModel.__name__ == "TrainedRewardModel"


def test_a_mistake_in_a_file_has_its_line(tmp_path: Path) -> None:
    given = (
        "base_model_name: a\nbase_model_name: b\ntraining_texts: [x]\nreward_functions: [length]\n"
    )
    file = tmp_path / "judge.yaml"
    file.write_text(f"{given}output_dir: judge\nlearning_rte: 1\n")
    with pytest.raises(ConfigError) as caught:
        train_reward_model(file)
    said = str(caught.value)
    assert f"{file}:2:1: base_model_name: the key stands here a second time" in said
    assert f"{file}:3:1: training_texts: list should have at least 10 items" in said
    assert f"{file}:6:1: learning_rte: unknown key" in said
