"""The switches of `evaluation`: when they count, when they are refused, and what then runs when."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import pytest

from aligntune.config import SFTConfig, load_config
from aligntune.errors import ConfigError, EvaluationError
from aligntune.evaluation import (
    EvaluationContext,
    Evaluator,
    Metric,
    prepare_measurements,
)
from aligntune.evaluation.switches import SWITCHES
from aligntune.facts import EvaluatorFacts
from aligntune.plan import Plan, make_plan, resolved_values
from aligntune.plugins import Plugins, Register, Switches

SFT: dict[str, Any] = {"algorithm": "toy-sft", "model": "m", "dataset": "d", "batch_size": 2}
EVAL: dict[str, Any] = {**SFT, "eval_datasets": [{"name": "e"}]}


class Count(Evaluator):
    """How many rows there are; `says` is noted as a completion."""

    says: ClassVar[bool] = False

    def __init__(self, name: str = "perplexity") -> None:
        self.name = name

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        if self.says:
            context.note("completion", ["said"] * len(context.rows))
        return [Metric(self.name, float(len(context.rows)), len(context.rows))]


class Say(Count):
    needs: ClassVar[tuple[str, ...]] = ("prompt",)
    says = True

    def __init__(self, name: str = "rouge") -> None:
        super().__init__(name)


class Custom(Say):
    def __init__(self, function: Any) -> None:
        super().__init__(function.__name__)


class Fails(Say):
    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        raise ValueError("no")


@pytest.fixture
def installed(toy: Plugins) -> Plugins:
    """The toy plugin, and evaluators for some switches; BLEU lacks its library."""
    register = Register(toy, toy.evaluators, EvaluatorFacts)
    register("perplexity", Count, summary="")
    register("rouge", Say, summary="", generates=True)
    register("custom_metric", Custom, summary="", generates=True)
    missing = {"packages": ("no-such-package>=1",), "install": "mine[text]"}
    register("bleu", Say, summary="", generates=True, **missing)
    return toy


def planned(given: dict[str, Any], plugins: Plugins, **evaluation: Any) -> Plan:
    return make_plan(load_config({**given, "evaluation": evaluation}), plugins=plugins)


def said(plan: Plan) -> dict[str, tuple[Any, str]]:
    return {
        value.path.removeprefix("evaluation.compute_"): (value.value, value.origin)
        for value in plan.values
        if value.path.startswith("evaluation.compute_")
    }


def test_unset_switches_count_where_they_can_and_the_plan_says_why(installed: Plugins) -> None:
    found = said(planned(EVAL, installed))
    assert found["perplexity"] == found["rouge"] == (True, "default")
    needs = "default, it needs no-such-package>=1, which is not installed"
    assert found["bleu"] == (False, needs)
    assert found["meteor"] == (False, "default")
    without = said(planned(SFT, installed))
    assert without["perplexity"] == (False, "default, there is no evaluation data")
    held_out = {**SFT, "datasets": [{"name": "d", "val_size": 0.1}]}
    del held_out["dataset"]
    assert said(planned(held_out, installed))["rouge"][0]


def test_an_evaluator_that_is_not_installed_is_off(toy: Plugins) -> None:
    reason = "default, no installed plugin has the evaluator 'rouge'"
    assert said(planned(EVAL, toy))["rouge"] == (False, reason)


@pytest.mark.parametrize(
    ("given", "evaluation", "says"),
    [
        (SFT, {"compute_rouge": True}, "evaluation.compute_rouge: there is no evaluation data"),
        (EVAL, {"compute_bleu": True}, "needs no-such-package>=1, .*\n.*pip install .mine"),
        (EVAL, {"compute_codebleu": True}, "no installed plugin has the evaluator 'codebleu'"),
        (EVAL, {"compute_bertscore": True}, "available: bleu, custom_metric, mood, perplexity"),
        (SFT, {"custom_metrics": ["math:fsum"]}, "custom_metrics: there is no evaluation data"),
    ],
)
def test_a_switch_that_is_set_is_honoured_or_refused(
    installed: Plugins, given: dict[str, Any], evaluation: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        planned(given, installed, **evaluation)


OFF = {"compute_perplexity": False, "compute_rouge": False, "compute_bleu": False}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_new_tokens", 5),
        ("temperature", 0.5),
        ("top_p", 0.5),
        ("max_samples", 3),
        ("batch_size", 4),
        ("before_training", True),
        ("max_samples_for_quality_metrics", 3),
        ("bertscore_model", "other"),
        ("semantic_similarity_model", "other"),
        ("dpo_eval_enabled", True),
    ],
)
def test_settings_that_nothing_would_use_are_refused(
    installed: Plugins, field: str, value: Any
) -> None:
    with pytest.raises(ConfigError, match=rf"evaluation\.{field}: .* would not be used"):
        planned(EVAL, installed, **OFF, **{field: value})
    with pytest.raises(ConfigError, match=rf"evaluation\.{field}: .* would not be used"):
        planned(SFT, installed, **{field: value})


@pytest.mark.parametrize("on", [{}, {**OFF, "evaluators": ["mood"]}])
def test_the_same_settings_are_used_where_something_is_measured(
    installed: Plugins, on: dict[str, Any]
) -> None:
    settings = {"max_new_tokens": 5, "temperature": 0.5, "max_samples": 3, "before_training": True}
    used = planned(EVAL, installed, **on, **settings).flat()
    assert {name: used[f"evaluation.{name}"] for name in settings} == settings


def test_perplexity_alone_completes_nothing(installed: Plugins) -> None:
    planned(EVAL, installed, compute_rouge=False, batch_size=4)
    with pytest.raises(ConfigError, match=r"evaluation\.max_new_tokens: 5 would not be used"):
        planned(EVAL, installed, compute_rouge=False, max_new_tokens=5)


def test_the_resolved_configuration_gives_the_same_again(installed: Plugins) -> None:
    for evaluation in ({}, {"compute_rouge": True, "max_new_tokens": 9}, OFF):
        resolved, _ = resolved_values(planned(EVAL, installed, **evaluation))
        switches = {key for key in resolved["evaluation"] if key in SWITCHES}
        assert switches == {key for key in evaluation if key in SWITCHES}
        again = make_plan(load_config(resolved), plugins=installed)
        assert resolved_values(again)[0] == resolved


ROWS = [{"prompt": f"p{i}", "completion": "c", "text": "t"} for i in range(9)]


class Model:
    """As much of a module as an evaluation relies on."""

    def modules(self) -> list[Any]:
        return []

    def eval(self) -> None:
        pass


def measured(
    rows: Any, plugins: Plugins, *, quality: bool = True, **evaluation: Any
) -> dict[str, float]:
    plan = planned(EVAL, plugins, **evaluation)
    found = prepare_measurements(plan.config, rows, plugins)
    assert found is not None
    return found.run(Model(), None, quality=quality).values()


def test_quality_metrics_see_few_rows_and_run_when_told(installed: Plugins) -> None:
    few = {"max_samples_for_quality_metrics": 4}
    assert measured(ROWS, installed, **few) == {"perplexity": 9.0, "rouge": 4.0}
    assert measured(ROWS, installed, **few, quality=False) == {"perplexity": 9.0}
    assert measured(ROWS, installed, **few, max_samples=3) == {"perplexity": 3.0, "rouge": 3.0}


def test_a_listed_evaluator_comes_first_runs_always_and_is_not_doubled(installed: Plugins) -> None:
    listed = {"evaluators": ["rouge"], "compute_perplexity": True}
    found = measured(ROWS, installed, **listed, quality=False)
    assert list(found.items()) == [("rouge", 9.0), ("perplexity", 9.0)]
    assert measured(ROWS, installed, **listed) == found


def closeness(predictions: list[str], references: list[str]) -> float:
    return 1.0


def test_functions_of_ones_own_are_quality_metrics(installed: Plugins) -> None:
    found = measured(ROWS, installed, **OFF, custom_metrics=[closeness])
    assert found == {"closeness": 9.0}
    assert measured(ROWS, installed, **OFF, custom_metrics=[closeness], quality=False) == {}


def test_rows_that_a_metric_cannot_read_turn_off_what_nobody_set(
    installed: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"text": "t"}]
    with caplog.at_level(logging.INFO, "aligntune"):
        assert measured(rows, installed) == {"perplexity": 1.0}
    assert "evaluation.compute_rouge is off: evaluator 'rouge' needs 'prompt'" in caplog.text
    with pytest.raises(ConfigError, match=r"evaluation\.compute_rouge: .* needs 'prompt'"):
        measured(rows, installed, compute_rouge=True)


def test_a_conversation_is_a_prompt_and_its_last_answer(installed: Plugins) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert measured([{"messages": turns}], installed)["rouge"] == 1.0
    assert "rouge" not in measured([{"messages": turns[:1]}], installed)


def test_what_goes_wrong_in_metrics_that_nobody_set_is_a_warning(
    toy: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    register = Register(toy, toy.evaluators, EvaluatorFacts)
    register("perplexity", Count, summary="")
    register("rouge", Fails, summary="", generates=True)
    assert measured(ROWS, toy) == {"perplexity": 9.0}
    assert "metrics that are on by default are left out: evaluator 'rouge' raised" in caplog.text
    with pytest.raises(EvaluationError, match="'rouge' raised ValueError: no"):
        measured(ROWS, toy, compute_rouge=True)


def rouge(predictions: list[str], references: list[str]) -> float:
    return 1.0


def loss(predictions: list[str], references: list[str]) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("evaluation", "says"),
    [
        ({"evaluators": ["rouge"], "custom_metrics": [rouge]}, "evaluator 'rouge' appears twice"),
        ({"custom_metrics": [loss]}, "'loss' measures 'loss', and so does the trainer; give"),
        (
            {"evaluators": [{"type": "perplexity", "params": {"name": "rewards/len/mean"}}]},
            "'rewards/len/mean', and so does the trainer",
        ),
    ],
)
def test_one_name_does_not_stand_for_two_numbers(
    installed: Plugins, evaluation: dict[str, Any], says: str
) -> None:
    plan = planned(EVAL, installed, **evaluation)
    with pytest.raises(EvaluationError, match=says):
        prepare_measurements(plan.config, ROWS, installed, own={"rewards/*/mean": True})


class Unsaid(Say):
    """Measures what another evaluator does, and says so nowhere."""

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        return [Metric("perplexity", 1.0, 1)]


def test_metrics_of_rows_and_of_completions_are_told_apart(toy: Plugins) -> None:
    register = Register(toy, toy.evaluators, EvaluatorFacts)
    register("perplexity", Count, summary="")
    register("rouge", Unsaid, summary="", generates=True)
    with pytest.raises(EvaluationError, match="metric 'perplexity' appears twice"):
        measured(ROWS, toy, compute_rouge=True)


class Last(Count):
    """How many of the others came before it."""

    last: ClassVar[bool] = True

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        return [Metric(self.name, float(len(context.memo)), 1)]


class Notes(Say):
    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        context.memo[self.name] = True
        return super().evaluate(context)


def test_evaluators_of_conversations_complete_them_once_and_what_is_last_sees_it(
    toy: Plugins,
) -> None:
    register = Register(toy, toy.evaluators, EvaluatorFacts)
    register("perplexity", Count, summary="")
    register("rouge", Notes, summary="", generates=True)
    register("time", Last, summary="")
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    again = {"type": "rouge", "params": {"name": "again"}}
    timed = {"type": "time", "params": {"name": "time"}}
    listed = ["rouge", timed, "perplexity", again]
    found = measured([{"messages": turns}], toy, evaluators=listed)
    assert found == {"rouge": 1.0, "again": 1.0, "time": 2.0, "perplexity": 1.0}


def test_nothing_to_measure_is_none_and_no_rows_are_an_error(installed: Plugins) -> None:
    plan = planned(EVAL, installed, **OFF)
    assert prepare_measurements(plan.config, ROWS, installed) is None
    with pytest.raises(ConfigError, match="there is no data for them"):
        prepare_measurements(planned(EVAL, installed).config, None, installed)
    empty = Plugins(Switches.make(only=()))
    assert isinstance(plan.config, SFTConfig)
    assert prepare_measurements(plan.config, None, empty) is None


def test_where_evaluators_are_named_nothing_else_is_measured_unasked(installed: Plugins) -> None:
    plan = make_plan(load_config({**EVAL, "evaluators": ["rouge"]}), plugins=installed)
    origin = {v.path: v.origin for v in plan.values}["evaluation.compute_perplexity"]
    assert plan.config.evaluation.compute_perplexity is False
    assert origin == "default, `evaluation.evaluators` says what is measured"
