"""Rewards as measurements: what is averaged, what is refused, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aligntune.errors import DataError, EvaluationError, NotRegisteredError
from aligntune.evaluation import Evaluation, EvaluationContext, EvaluationSettings, evaluate
from aligntune.facts import RewardFacts
from aligntune.plugins import Plugins, Register, Switches
from aligntune.scoring import RewardBatch, RewardFunction
from aligntune_eval.asking.generation import completions
from aligntune_eval.metrics.accuracy import Accuracy, MeanReward
from aligntune_eval.metrics.exact_match import ExactMatch
from aligntune_eval.metrics.reference_metric import reference_texts

MakeContext = Callable[..., EvaluationContext]
Measure = Callable[..., Evaluation]

PROMPTS = ["1+1=", "2+2=", "3+3=", "4+4="]


@pytest.fixture
def answers(make_context: MakeContext) -> list[str]:
    """What the model says to each of the prompts."""
    rows = [{"prompt": prompt} for prompt in PROMPTS]
    return [c.text for c in completions(make_context(rows, max_new_tokens=3))]


@pytest.fixture
def measure(model: Any, tokenizer: Any, plugins: Plugins) -> Measure:
    def run(rows: list[dict[str, Any]], *evaluators: Any, **settings: Any) -> Evaluation:
        wanted = EvaluationSettings(max_new_tokens=3, **settings)
        return evaluate(model, tokenizer, rows, evaluators, settings=wanted, plugins=plugins)

    return run


def test_accuracy_is_the_share_the_verifier_accepts(measure: Measure, answers: list[str]) -> None:
    right = [answers[0], "wrong", answers[2], answers[3]]
    rows = [{"prompt": p, "answer": r.strip()} for p, r in zip(PROMPTS, right, strict=True)]
    evaluation = measure(rows, "accuracy", "exact_match")
    accuracy = evaluation.metric("accuracy")
    assert (accuracy.value, accuracy.n) == (0.75, 4)
    assert accuracy.details["interval"] == "wilson"
    assert accuracy.details["reference_column"] == "answer"
    assert accuracy.details["truncated"] == sum("<|end|>" not in a for a in answers)
    assert evaluation.metric("exact_match").value == 0.75
    assert evaluation.samples[1]["scores"] == {"accuracy": 0.0, "exact_match": 0.0}
    assert evaluation.samples[0]["completion"] == answers[0]
    assert evaluation.samples[0]["reference"] == right[0].strip()


def test_the_reference_column_of_the_settings_holds(measure: Measure, answers: list[str]) -> None:
    rows = [
        {"prompt": p, "answer": "no", "gold": a.strip()}
        for p, a in zip(PROMPTS, answers, strict=True)
    ]
    evaluation = measure(rows, "accuracy", "exact_match", reference_column="gold")
    assert evaluation.values() == {"accuracy": 1.0, "exact_match": 1.0}
    named = {"type": "accuracy", "params": {"params": {"reference_column": "gold"}}}
    assert measure(rows, named).metric("accuracy").value == 1.0


def test_rows_a_reward_does_not_apply_to_are_left_out_and_counted(
    measure: Measure, plugins: Plugins
) -> None:
    def sometimes(text: str, answer: str, **_: Any) -> float | None:
        return None if answer == "skip" else 3.0

    Register(plugins, plugins.rewards, RewardFacts)("sometimes", sometimes, summary="")
    rows = [{"prompt": p, "answer": "skip" if p[0] == "1" else "x"} for p in PROMPTS]
    evaluation = measure(rows, {"type": "reward", "params": {"reward": "sometimes"}})
    metric = evaluation.metric("reward/sometimes")
    assert (metric.value, metric.n, metric.details["not_applicable"]) == (3.0, 3, 1)
    with pytest.raises(EvaluationError, match="applies to none"):
        measure(rows[:1], {"type": "reward", "params": {"reward": "sometimes"}})
    with pytest.raises(EvaluationError, match=r"row 1 the value 3\.0.*between 0 and 1"):
        measure(rows, {"type": "accuracy", "params": {"reward": "sometimes"}})


def test_a_reward_sees_what_it_sees_in_training(measure: Measure, plugins: Plugins) -> None:
    seen: list[RewardBatch] = []

    class Spy(RewardFunction):
        def compute_batch(self, batch: RewardBatch) -> list[float | None]:
            seen.append(batch)
            return [1.0] * len(batch)

    Register(plugins, plugins.rewards, RewardFacts)("spy", Spy, summary="")
    turns = [{"role": "user", "content": "hi"}]
    rows = [{"prompt": turns, "answer": "a", "level": 3}]
    measure(rows, MeanReward("spy"))
    (batch,) = seen
    assert batch.prompts == [turns]
    assert batch.references == ["a"]
    assert batch.columns == {"answer": ["a"], "level": [3]}
    assert batch.messages == [[{"role": "assistant", "content": batch.texts[0]}]]
    assert batch.completion_ids is not None
    assert len(batch.completion_ids[0]) <= 3


def test_an_absent_verifier_says_what_brings_it(make_context: MakeContext) -> None:
    context = make_context([{"prompt": "a", "answer": "b"}])
    empty = Plugins(Switches(only=frozenset()))
    with pytest.raises(NotRegisteredError, match="aligntune-rewards"):
        Accuracy().prepare(context.rows, context.settings, empty)


def test_missing_columns_are_named_before_generation(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(context: EvaluationContext) -> None:
        pytest.fail("it generated")

    monkeypatch.setattr("aligntune_eval.asking.generation._generate_all", forbidden)
    rows = [{"prompt": "a", "label": "b"}]
    with pytest.raises(DataError, match=r"needs a reference.*label"):
        measure(rows, "accuracy")
    with pytest.raises(EvaluationError, match=r"no reference column.*prompt, label"):
        measure(rows, "exact_match")
    with pytest.raises(EvaluationError, match="needs 'prompt', which row 0 does not have"):
        measure([{"text": "a"}], "accuracy")
    with pytest.raises(EvaluationError, match=r"needs 'gold'.*there are: prompt, label"):
        measure(rows, "accuracy", reference_column="gold")
    half = [{"prompt": "a", "answer": "b"}, {"prompt": "c", "answer": None}]
    for name in ("accuracy", "exact_match"):
        with pytest.raises(EvaluationError, match="needs 'answer', which row 1 does not have"):
            measure(half, name)


@pytest.mark.parametrize(
    ("parameters", "reference", "same"),
    [
        ({}, "Paris", False),
        ({"ignore_case": True}, "PARIS!", False),
        ({"ignore_case": True, "ignore_punctuation": True}, "PARIS!", True),
        ({}, ["London", "paris."], True),
        ({}, 4, False),
    ],
)
def test_exact_match(parameters: dict[str, bool], reference: Any, same: bool) -> None:
    right = reference_texts(reference)
    assert ExactMatch(**parameters).value(" paris. ", right) == float(same)


@pytest.mark.parametrize(
    ("limits", "method"),
    [((0.0, 1.0), "wilson"), ((-1.0, 0.0), "bootstrap"), ((0.0, 99.0), "bootstrap")],
)
def test_an_interval_of_shares_is_for_shares(
    measure: Measure, plugins: Plugins, limits: tuple[float, float], method: str
) -> None:
    register = Register(plugins, plugins.rewards, RewardFacts)

    class Nothing(RewardFunction):
        range = limits

        def compute(self, text: str) -> float:
            return 0.0

    register("nothing", Nothing, summary="always 0", range=limits)
    rows = [{"prompt": prompt} for prompt in PROMPTS]
    wanted = {"type": "reward", "params": {"reward": "nothing"}}
    metric = measure(rows, wanted).metric("reward/nothing")
    assert metric.details["interval"] == method
    low, high = metric.interval or (None, None)
    assert low == 0.0
    assert high is not None
    assert (high > 0.0) is (method == "wilson")
