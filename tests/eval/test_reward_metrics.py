"""Metrics that rest on rewards: values, directions, parameters, and what is refused early."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.config import EvaluationConfig, load_config
from aligntune.errors import AlignTuneError, ConfigError, EvaluationError
from aligntune.evaluation import (
    Evaluation,
    EvaluationSettings,
    evaluate,
    prepare,
    prepare_measurements,
)
from aligntune.testing import make_classifier, make_encoder
from aligntune_rewards import BertscoreReward, FactualCorrectnessReward
from aligntune_rewards.learned import models

Measure = Callable[..., Evaluation]


@pytest.fixture
def measure(model: Any, tokenizer: Any, say: Any) -> Measure:
    """Evaluate rows whose answers are given, with the installed rewards."""

    def run(
        rows: list[dict[str, Any]], answers: list[list[str]], metric: str, /, **params: Any
    ) -> Evaluation:
        say(answers)
        rows = [{"prompt": f"question {i}", **row} for i, row in enumerate(rows)]
        settings = EvaluationSettings(
            num_samples=len(answers[0]), temperature=float(len(answers[0]) > 1)
        )
        entry = {"type": metric, "params": params}
        return evaluate(model, tokenizer, rows, [entry], settings=settings, plugins=plugins.get())

    return run


def check(name: str, rows: list[dict[str, Any]], **params: Any) -> None:
    """All that comes before a model."""
    prepare(
        [{"prompt": "p", **row} for row in rows],
        [{"type": name, "params": params}],
        EvaluationSettings(),
        plugins.get(),
    )


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoders") / "encoder"
    words = {"cat": [1, 0, 0], "dog": [0.8, 0.6, 0], "sleeps": [0, 0, 1]}
    return str(make_encoder(folder, words))


def test_bertscore_is_the_reward_s(
    measure: Measure, encoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"reference": "The cat sleeps"}] * 2
    answers = [["The dog sleeps"], ["The cat sleeps"]]
    with caplog.at_level(logging.WARNING, "aligntune"):
        found = measure(rows, answers, "bertscore", model=encoder)
    metric = found.metric("bertscore")
    # The first value is that of the page of rewards.
    assert metric.value == pytest.approx((0.933 + 1) / 2, abs=5e-4)
    assert metric.details["model"] == encoder
    assert metric.details["layer"] == 1
    assert metric.higher_is_better is True
    assert "nobody measured which layer" in caplog.text
    assert "the parameter `layer` sets another" in caplog.text
    caplog.clear()
    short = [["The dog"], ["The cat"]]
    values = {
        kind: measure(rows, short, "bertscore", model=encoder, measure=kind, layer=0)
        for kind in ("precision", "recall")
    }
    assert values["recall"].metric("bertscore").details["layer"] == 0
    precision, recall = (values[kind].metric("bertscore").value for kind in values)
    assert recall < precision - 0.1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_semantic_similarity_takes_the_nearest_reference(measure: Measure, encoder: str) -> None:
    rows = [{"answer": ["sleeps", "cat"]}, {"answer": "cat"}]
    found = measure(rows, [["cat"], ["sleeps"]], "semantic_similarity", model=encoder)
    scores = [each["scores"]["semantic_similarity"] for each in found.samples]
    assert scores[0] == pytest.approx(1.0, abs=1e-6)
    assert scores[1] < 0.9


PROGRAM = "def add(a, b):\n    total = a + b\n    return total"


def test_codebleu_is_the_paper_s(measure: Measure) -> None:
    longer = f"{PROGRAM}\n\ndef sub(a, b):\n    return a - b"
    rows = [{"reference": PROGRAM}] * 3
    answers = [[f"```python\n{PROGRAM}\n```"], [longer], ["this is no program"]]
    found = measure(rows, answers, "codebleu")
    scores = [each["scores"]["codebleu"] for each in found.samples]
    assert scores[0] == pytest.approx(1.0)
    assert scores[2] == 0.0
    assert found.metric("codebleu").details["failures"] == {"syntax error": 1}
    symmetric = measure(rows, answers, "codebleu", symmetric=True)
    # The reward does not let code that is added pay; the paper's measure does not see it.
    assert symmetric.samples[1]["scores"]["codebleu"] < scores[1] < 1.0
    with pytest.raises(EvaluationError, match="reference of row 1 is no Python program"):
        check("codebleu", [{"reference": "x = 1"}, {"reference": "if if"}])


@pytest.fixture(scope="module")
def toxic(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A classifier that finds "bad" toxic and nothing else."""
    return str(
        make_classifier(
            tmp_path_factory.mktemp("classifiers") / "toxic",
            ["toxic", "ok"],
            {"bad": [1, -1], "good": [-1, 1]},
        )
    )


@pytest.mark.parametrize("name", ["toxicity", "bias"])
def test_harm_is_a_share_of_which_less_is_better(name: str, measure: Measure, toxic: str) -> None:
    answers = [["bad"], ["good"], ["good"]]
    found = measure([{}] * 3, answers, name, model=toxic)
    metric = found.metric(name)
    scores = [each["scores"][name] for each in found.samples]
    assert scores[0] > 0.9
    assert max(scores[1:]) < 0.1
    assert metric.value == pytest.approx(sum(scores) / 3)
    assert metric.higher_is_better is False
    rate = measure([{}] * 3, answers, name, model=toxic, threshold=0.5).metric(f"{name}_rate")
    assert rate.value == pytest.approx(1 / 3)
    assert rate.higher_is_better is False
    assert rate.details["threshold"] == 0.5
    with pytest.raises(EvaluationError, match=r"threshold is 1\.5; it must lie between 0 and 1"):
        check(name, [{}], threshold=1.5)


REFUSES, ANSWERS = "I'm sorry, but I can't help with that.", "The capital of France is Paris."


def test_refusal_counts_both_ways(measure: Measure) -> None:
    rows = [{"should_refuse": each} for each in (True, True, False, False, False)]
    answers = [[REFUSES], [ANSWERS], [ANSWERS], [REFUSES], [ANSWERS]]
    found = measure(rows, answers, "refusal")
    assert found.values() == pytest.approx(
        {"refusal_accuracy": 3 / 5, "over_refusal_rate": 1 / 3, "missed_refusal_rate": 1 / 2}
    )
    assert [metric.n for metric in found.metrics] == [5, 3, 2]
    assert [metric.higher_is_better for metric in found.metrics] == [True, False, False]
    with pytest.raises(EvaluationError, match="'should_refuse' of row 0 holds 'yes'"):
        check("refusal", [{"should_refuse": "yes"}])


def test_refusal_without_the_column_is_a_rate(measure: Measure) -> None:
    answers = [[REFUSES], [ANSWERS], [ANSWERS]]
    bad = measure([{}] * 3, answers, "refusal").metric("refusal_rate")
    good = measure([{}] * 3, answers, "refusal", refusing="good", name="mine")
    assert (bad.value, bad.higher_is_better) == (pytest.approx(1 / 3), False)
    metric = good.metric("mine/refusal_rate")
    assert (metric.value, metric.higher_is_better) == (pytest.approx(1 / 3), True)


def test_factual_accuracy_is_the_reward_s(measure: Measure, tmp_path: Path) -> None:
    labels = ["entailment", "neutral", "contradiction"]
    words = {"paris": [1, 0, -1], "rome": [-1, 0, 1]}
    model = str(make_classifier(tmp_path / "nli", labels, words))
    rows = [{"reference": "Paris."}] * 2
    found = measure(
        rows, [["It is Paris."], ["Rome. Rome. Rome."]], "factual_accuracy", model=model
    )
    scores = [each["scores"]["factual_accuracy"] for each in found.samples]
    reward = FactualCorrectnessReward(model)
    assert scores == [reward.compute(each["completion"], "Paris.") for each in found.samples]
    assert scores[0] > 0.5 > scores[1]


def test_several_completions_of_a_row_are_one_observation(measure: Measure) -> None:
    rows = [{"answer": "1"}, {"answer": "2"}]
    answers = [[r"\boxed{1}", "3"], ["4", "5"]]
    found = measure(rows, answers, "math_accuracy")
    metric = found.metric("math_accuracy")
    assert (metric.value, metric.n) == (0.25, 2)
    assert [each["scores"]["math_accuracy"] for each in found.samples] == [0.5, 0.0]


@pytest.mark.parametrize(
    ("name", "row", "params", "says"),
    [
        (
            "math_accuracy",
            {"answer": "1"},
            {"precisoin": 3},
            "no parameter 'precisoin'; it takes after, precision",
        ),
        ("math_accuracy", {"answer": "1"}, {"timeout": 0}, "timeout is 0"),
        ("bertscore", {"answer": "1"}, {"model": "./nowhere"}, r"no folder '\./nowhere'"),
        ("bertscore", {"answer": "1"}, {"measure": "f1"}, "measure is 'f1'"),
        ("codebleu", {"answer": "x"}, {"weights": [1]}, "weights"),
        ("refusal", {}, {"column": "harmful"}, "'refusal' needs 'harmful'|needs.*harmful"),
        ("toxicity", {}, {"model": "./nowhere"}, r"no folder '\./nowhere'"),
    ],
)
def test_the_reward_s_own_checks_come_before_a_model(
    name: str, row: dict[str, Any], params: dict[str, Any], says: str
) -> None:
    with pytest.raises(AlignTuneError, match=says):
        check(name, [row], **params)


def test_a_model_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(ConfigError, match=r"needs the model 'no/such', which cannot be loaded"):
        check("factual_accuracy", [{"answer": "x"}], model="no/such")


def test_the_switches_of_a_run_measure_completions_of_conversations(
    model: Any, tokenizer: Any, say: Any, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SFT has them: the last answer of a conversation is the reference."""
    config = load_config(
        {
            "algorithm": "sft",
            "model": {"name_or_path": "m"},
            "datasets": [{"name": "d.jsonl"}],
            "eval_datasets": [{"name": "e.jsonl"}],
            "evaluation": {
                "compute_bertscore": True,
                "bertscore_model": encoder,
                "compute_semantic_similarity": True,
                "semantic_similarity_model": encoder,
                "compute_codebleu": True,
                "compute_perplexity": False,
                "compute_rouge": False,
                "compute_bleu": False,
            },
        }
    )
    talk = [{"role": "user", "content": "x?"}, {"role": "assistant", "content": "cat"}]
    loaded: list[str] = []
    load = models._load
    monkeypatch.setattr(models, "_load", lambda *a: loaded.append(a[1]) or load(*a))
    measurements = prepare_measurements(config, [{"messages": talk}] * 2, plugins.get())
    assert measurements is not None
    assert sorted(loaded) == ["embedder", "encoder"], "a model is loaded more than once"
    say([["cat"], ["sleeps"]])
    found = measurements.run(model, tokenizer, quality=True)
    names = ["bertscore", "semantic_similarity", "codebleu"]
    assert [metric.name for metric in found.metrics] == names
    for metric in found.metrics[:2]:
        assert 0.4 < metric.value < 1
        assert metric.details["model"] == encoder
        assert metric.details["reference_column"] == "completion"
    assert [sample["reference"] for sample in found.samples] == ["cat", "cat"]


def test_the_default_model_of_bertscore_s_switch_has_its_layer() -> None:
    assert BertscoreReward(EvaluationConfig().bertscore_model).layer == 40
