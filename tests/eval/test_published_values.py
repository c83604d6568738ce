"""Values that others published come out of the evaluators, from rows to metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aligntune import plugins
from aligntune.evaluation import Evaluation, EvaluationSettings, evaluate
from aligntune_eval.statistics import pass_at_k

Measure = Callable[..., Evaluation]


@pytest.fixture
def measure(model: Any, tokenizer: Any, say: Any) -> Measure:
    """Evaluate rows whose answers are given, with the installed rewards."""

    def run(
        rows: list[dict[str, Any]], answers: list[list[str]], *evaluators: Any, **more: Any
    ) -> Evaluation:
        say(answers, more.pop("ids", None))
        rows = [{"prompt": f"question {i}", **row} for i, row in enumerate(rows)]
        wanted = EvaluationSettings(**more)
        return evaluate(model, tokenizer, rows, evaluators, settings=wanted, plugins=plugins.get())

    return run


# n, c, k and the value of pass@k; the last two to six digits.
PASSES = [(10, 3, 1, 0.3), (5, 2, 2, 0.7), (200, 10, 10, 0.408548), (20, 5, 5, 0.806308)]


@pytest.mark.parametrize(("n", "c", "k", "value"), PASSES)
def test_pass_at_k(n: int, c: int, k: int, value: float, measure: Measure) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(value, abs=5e-7)
    programs = ["def f(x): return x + 1"] * c + ["def f(x): return x"] * (n - c)
    found = measure(
        [{"test_list": ["assert f(1) == 2", "assert f(-1) == 0"]}],
        [programs],
        {"type": "pass_at_k", "params": {"k": [k]}},
        num_samples=n,
        temperature=1.0,
    )
    assert found.metric(f"pass@{k}").value == pytest.approx(value, abs=5e-7)
    assert found.samples[0]["passed"] == [True] * c + [False] * (n - c)


# The example of sacrebleu's README: three sentences, two references each.
SYSTEM = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
RIGHT = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]


def test_the_corpus_metrics_of_sacrebleu(measure: Measure) -> None:
    rows = [{"reference": each} for each in RIGHT]
    found = measure(rows, [[text] for text in SYSTEM], "bleu", "chrf", "ter")
    values = {name: round(value, 2) for name, value in found.values().items()}
    assert values == {"bleu": 48.53, "chrf": 59.73, "ter": 40.0}
    for metric in found.metrics:
        assert metric.details["signature"].startswith("nrefs:2|case:")
        assert metric.interval is not None
        assert metric.interval[0] <= metric.value <= metric.interval[1]
        assert metric.stderr is not None
        assert metric.combine is not None
        assert metric.combine.kind == "corpus"


def test_the_example_of_rouge_score(measure: Measure) -> None:
    rows = [{"completion": "The quick brown fox jumps over the lazy dog"}]
    found = measure(rows, [["The quick brown dog jumps on the log."]], "rouge")
    assert round(found.metric("rouge1").value, 4) == 0.7059
    assert round(found.metric("rougeL").value, 4) == 0.5882


def test_hedging_is_wrong_and_forms_of_a_number_are_right(measure: Measure) -> None:
    hedge = r"\boxed{71}\boxed{72}"
    answers = [hedge, r"\boxed{72}", r"\boxed{\frac{1}{2}}", r"so it is \boxed{0.5}"]
    rows = [{"answer": each} for each in ("72", "72", "0.5", r"\frac{1}{2}")]
    found = measure(rows, [[text] for text in answers], "math_accuracy")
    assert [s["scores"]["math_accuracy"] for s in found.samples] == [0.0, 1.0, 1.0, 1.0]
    assert found.metric("math_accuracy").value == 0.75
    assert found.metric("math_accuracy").details["failures"] == {"hedged": 1}


def test_the_examples_of_trl_rewards(measure: Measure) -> None:
    """Those in the docstrings of `trl.rewards`, by the evaluator `reward`."""
    soft = {"reward": "overlong_penalty", "params": {"max_length": 100, "slope": 20}}
    found = measure([{}], [["x"]], {"type": "reward", "params": soft}, ids=[[[1] * 90]])
    assert found.metric("reward/overlong_penalty").value == pytest.approx(-0.5)

    cosine = {"reward": "cosine_length", "params": {"max_length": 100}}
    texts = [[r"\boxed{\frac{1}{3}}"], [r"\boxed{\frac{1}{2}}"]]
    rows = [{"solution": r"\frac{1}{3}"}] * 2
    ids = [[[1] * 50], [[1] * 50]]
    found = measure(rows, texts, {"type": "reward", "params": cosine}, ids=ids)
    scores = [each["scores"]["reward/cosine_length"] for each in found.samples]
    assert scores == pytest.approx([0.75, -0.75])

    again = {"reward": "repetition_penalty", "params": {"ngram": 2, "unit": "tokens"}}
    ids = [[[1, 2, 3, 4]], [[5, 5, 5, 5, 5]]]
    found = measure([{}, {}], [["a"], ["b"]], {"type": "reward", "params": again}, ids=ids)
    scores = [each["scores"]["reward/repetition_penalty"] for each in found.samples]
    assert scores == pytest.approx([0.0, -0.75])
