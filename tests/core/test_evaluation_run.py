"""Running evaluators, with models that are plain Python."""

from __future__ import annotations

import random
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from aligntune.errors import EvaluationError, NotRegisteredError, RewardError
from aligntune.evaluation import (
    EvaluationContext,
    EvaluationSettings,
    Evaluator,
    Metric,
    evaluate,
    prepare,
)
from aligntune.facts import EvaluatorFacts
from aligntune.plugins import Plugins, Register, Switches

ROWS: list[dict[str, Any]] = [{"prompt": "a", "answer": "b"}, {"prompt": "c", "answer": "d"}]


class Count(Evaluator):
    needs: ClassVar[tuple[str, ...]] = ("prompt",)

    def __init__(self, name: str = "count", factor: int = 1) -> None:
        if factor < 1:
            raise ValueError("factor must be at least 1")
        self.name = name
        self.factor = factor

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        n = len(context.rows)
        context.score(self.name, [float(self.factor)] * n)
        return [Metric(self.name, float(n * self.factor), n)]


class Fails(Evaluator):
    name = "fails"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        raise self.error


def makes_none() -> str:
    return "nothing"


class Module:
    """As much of `torch.nn.Module` as an evaluation relies on."""

    def __init__(self, training: bool, *parts: Module) -> None:
        self.training = training
        self.parts = parts

    def modules(self) -> list[Module]:
        return [self, *(module for part in self.parts for module in part.modules())]

    def eval(self) -> None:
        for module in self.modules():
            module.training = False


@pytest.fixture
def plugins() -> Plugins:
    found = Plugins(Switches(only=frozenset()))
    register = Register(found, found.evaluators, EvaluatorFacts)
    register("count", Count, summary="rows", aliases=("rows",))
    register("no_evaluator", dict, summary="")
    register("makes_none", makes_none, summary="")
    return found


def test_names_mappings_config_entries_and_objects_work(plugins: Plugins) -> None:
    evaluation = evaluate(
        None,
        None,
        ROWS,
        [
            "count",
            {"type": "rows", "params": {"name": "two", "factor": 2}},
            SimpleNamespace(type="count", params={"name": "three", "factor": 3}),
            Count("four", 4),
        ],
        plugins=plugins,
    )
    assert evaluation.values("eval_") == {
        "eval_count": 2.0,
        "eval_two": 4.0,
        "eval_three": 6.0,
        "eval_four": 8.0,
    }
    assert evaluation.samples[1] == {
        "row": 1,
        "scores": {"count": 1.0, "two": 2.0, "three": 3.0, "four": 4.0},
    }
    assert evaluation.as_dict()["metrics"][1]["name"] == "two"
    with pytest.raises(EvaluationError, match="no metric 'five' was measured; there are: count"):
        evaluation.metric("five")


def test_max_samples_takes_the_first_rows(plugins: Plugins) -> None:
    settings = EvaluationSettings(max_samples=1)
    assert (
        evaluate(None, None, ROWS, ["count"], settings=settings, plugins=plugins).metrics[0].n == 1
    )


@pytest.mark.parametrize(
    ("evaluators", "error", "said"),
    [
        (["perplexity"], NotRegisteredError, "aligntune-eval"),
        (["coumt"], NotRegisteredError, "did you mean 'count'"),
        ([{"type": "count", "params": {"facto": 2}}], EvaluationError, "did you mean 'factor'"),
        (
            [{"type": "count", "params": {"factor": 0}}],
            EvaluationError,
            "factor must be at least 1",
        ),
        ([{"name": "count"}], EvaluationError, "a mapping of `type` and `params`"),
        (["count", "count"], EvaluationError, "evaluator 'count' appears twice"),
        (["no_evaluator"], EvaluationError, "is no Evaluator: <class 'dict'>"),
        (["makes_none"], EvaluationError, "made no Evaluator: 'nothing'"),
        ([], EvaluationError, "no evaluators are named"),
    ],
)
def test_mistakes_are_one_clear_error(
    plugins: Plugins, evaluators: list[Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        prepare(ROWS, evaluators, EvaluationSettings(), plugins)


@pytest.mark.parametrize(
    ("needs", "rows", "said"),
    [
        (("prompt",), [{"text": "x"}], "needs 'prompt', which row 0.*there are: text"),
        (("text",), [{"answer": "x"}], "'text' or 'messages' or 'prompt' with 'completion'"),
        (("reference",), [{"prompt": "x"}], "looked for reference, answer.*there are: prompt"),
        (("level",), [{"level": 1}, {"level": None, "x": 1}], "'level', which row 1.*level, x"),
        ((), [], "there are no rows"),
    ],
)
def test_missing_columns_name_those_there_are(
    plugins: Plugins, needs: tuple[str, ...], rows: list[dict[str, Any]], said: str
) -> None:
    class Needs(Count):
        pass

    Needs.needs = needs
    with pytest.raises(EvaluationError, match=said):
        evaluate(None, None, rows, [Needs()], plugins=plugins)


def test_any_text_will_do(plugins: Plugins) -> None:
    class Text(Count):
        needs: ClassVar[tuple[str, ...]] = ("text",)

    rows = [{"text": "a"}, {"messages": []}, {"prompt": "a", "completion": "b"}]
    assert evaluate(None, None, rows, [Text()], plugins=plugins).metrics[0].n == 3


def test_an_exception_is_wrapped_once_and_names_the_evaluator(plugins: Plugins) -> None:
    with pytest.raises(EvaluationError, match="evaluator 'fails' raised KeyError: 'x'") as caught:
        evaluate(None, None, ROWS, [Fails(KeyError("x"))], plugins=plugins)
    assert isinstance(caught.value.__cause__, KeyError)
    ours = RewardError("reward 'r' returned nan")
    with pytest.raises(RewardError) as kept:
        evaluate(None, None, ROWS, [Fails(ours)], plugins=plugins)
    assert kept.value is ours


def test_all_models_are_checked_before_anything_is_measured(plugins: Plugins) -> None:
    measured: list[str] = []

    class Slow(Count):
        def evaluate(self, context: EvaluationContext) -> list[Metric]:
            measured.append(self.name)
            return super().evaluate(context)

    class Picky(Slow):
        def check(self, context: EvaluationContext) -> None:
            raise context.tokenizer

    for raised, said in (
        (EvaluationError("another vocabulary"), "^another vocabulary"),
        (KeyError("layers"), "evaluator 'picky' raised KeyError: 'layers'"),
    ):
        wanted = [Slow("slow"), Picky("picky")]
        with pytest.raises(EvaluationError, match=said):
            evaluate(None, raised, ROWS, wanted, plugins=plugins)
    assert measured == []


@pytest.mark.parametrize("fails", [False, True])
def test_mode_and_random_state_are_left_as_they_were(plugins: Plugins, fails: bool) -> None:
    class Noisy(Count):
        def evaluate(self, context: EvaluationContext) -> list[Metric]:
            assert not any(module.training for module in context.model.modules())
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002 - the global generator is what must survive
            if fails:
                raise RuntimeError("no")
            return super().evaluate(context)

    frozen = Module(False)
    model = Module(True, frozen, Module(True))
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    try:
        evaluate(model, None, ROWS, [Noisy()], plugins=plugins)
    except EvaluationError:
        assert fails
    assert [module.training for module in model.modules()] == [True, False, True]
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_progress_is_reported(plugins: Plugins) -> None:
    class Slow(Count):
        def evaluate(self, context: EvaluationContext) -> list[Metric]:
            context.progress("counting", 2, 2)
            return super().evaluate(context)

    seen: list[tuple[str, int, int]] = []
    prepared = prepare(ROWS, [Slow()], EvaluationSettings(), plugins)
    prepared.run(None, None, lambda *told: seen.append(told))
    assert seen == [("counting", 2, 2)]


def test_importing_it_imports_no_model_library() -> None:
    code = (
        "import sys, aligntune.evaluation;"
        "print([m for m in ('torch', 'transformers', 'datasets', 'numpy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
