"""The kit on our own evaluators, and on ones that are wrong in each way that it tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from aligntune import plugins
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune.evaluation.columns import Rows
from aligntune.evaluation.statistics import mean_metric
from aligntune.plugins import Plugins
from aligntune.testing import evaluator_conformance
from aligntune_eval.generation import completions

TestPerplexity = evaluator_conformance("perplexity", params={"window": 16, "stride": 4})
TestExactMatch = evaluator_conformance("exact_match")
TestRouge = evaluator_conformance("rouge")


class Right(Evaluator):
    """The mean length of completions; each of those below has one thing wrong."""

    name = "right"
    needs: ClassVar[tuple[str, ...]] = ("prompt",)

    def measures(self) -> Mapping[str, bool | None]:
        return {self.name: None}

    def values(self, context: EvaluationContext) -> list[float]:
        return [float(len(completion.ids)) for completion in completions(context)]

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        values = self.values(context)
        context.score(self.name, values)
        return [mean_metric(self.name, values, higher_is_better=None)]


class NoScores(Right):
    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        return [mean_metric(self.name, self.values(context), higher_is_better=None)]


class OtherScores(Right):
    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        found = super().evaluate(context)
        context.score(self.name, [0.0] * len(context.rows))
        return found


class OtherDirection(Right):
    def measures(self) -> Mapping[str, bool | None]:
        return {self.name: True}


class ByPlace(Right):
    def values(self, context: EvaluationContext) -> list[float]:
        return [float(place * place) for place, _ in enumerate(context.rows)]


class ByBatch(Right):
    def values(self, context: EvaluationContext) -> list[float]:
        return [float(context.settings.batch_size) for _ in context.rows]


class ByPadding(Right):
    def values(self, context: EvaluationContext) -> list[float]:
        return [float(context.tokenizer.padding_side == "left") for _ in context.rows]


class ByTurn(Right):
    times = 0

    def values(self, context: EvaluationContext) -> list[float]:
        ByTurn.times += 1
        return [float(ByTurn.times) for _ in context.rows]


class Unchecked(Right):
    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        pass


TestRight = evaluator_conformance(Right)


@pytest.mark.parametrize(
    ("evaluator", "test", "says"),
    [
        (NoScores, "test_rows_make_the_value", "has n 6; 0 rows have values"),
        (OtherScores, "test_rows_make_the_value", "its rows make 0.0"),
        (OtherDirection, "test_measures_what_it_says", r"measures\(\) says"),
        (ByPlace, "test_order_does_not_matter", "another right in another place"),
        (ByBatch, "test_batch_size_does_not_matter", "in one batch"),
        (ByPadding, "test_padding_does_not_matter", "padded on the right"),
        (ByTurn, "test_it_measures", "the second time"),
        (Unchecked, "test_a_missing_column_is_named", "accepts rows without 'prompt'"),
    ],
)
def test_what_is_wrong_fails_its_test(evaluator: type[Evaluator], test: str, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        getattr(evaluator_conformance(evaluator)(), test)()


def test_a_setting_that_there_is_not_and_too_few_rows_are_refused() -> None:
    with pytest.raises(TypeError, match="no setting 'tolerence'"):
        evaluator_conformance(Right, tolerence=1.0)
    with pytest.raises(ValueError, match="2 rows say nothing of their order"):
        evaluator_conformance(Right, rows=[{"prompt": "a"}, {"prompt": "b"}])


def test_a_metric_that_rows_do_not_make_says_so() -> None:
    class OfAll(Right):
        def evaluate(self, context: EvaluationContext) -> list[Metric]:
            return [Metric(self.name, sum(self.values(context)), len(context.rows))]

    with pytest.raises(AssertionError, match="does not say how rows make it"):
        evaluator_conformance(OfAll)().test_rows_make_the_value()
    evaluator_conformance(OfAll, from_rows=False)().test_rows_make_the_value()


def test_a_manifest_that_is_wrong_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = evaluator_conformance("perplexity")
    entry = plugins.get().find(plugins.get().evaluators, "perplexity")
    wrong = replace(entry, facts=replace(entry.facts, generates=True, needs=("prompt",)))
    monkeypatch.setattr(made, "_entry", lambda self: wrong)
    with pytest.raises(AssertionError, match=r"needs \('prompt',\), the class .*generates=True"):
        made().test_manifest_is_right()
