"""Pytest tests of what every evaluator must be, in one line of a test file.

    TestNumberShare = evaluator_conformance("number-share")

A registered name is tested with its manifest; a class without. The model is a tiny one with random
weights, made here once for all tests of a process.
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from aligntune import plugins
from aligntune.errors import AlignTuneError
from aligntune.evaluation import Combine, Evaluation, EvaluationSettings, Evaluator, Metric, prepare
from aligntune.evaluation.columns import COMPARED
from aligntune.evaluation.run import resolve
from aligntune.scoring.references import REFERENCE_COLUMNS
from aligntune.testing.manifest import Manifest
from aligntune.testing.models import make_model

__all__ = ["EvaluatorConformance", "RegisteredEvaluatorConformance", "evaluator_conformance"]

Row = Mapping[str, Any]

# Of different lengths, so that batches are padded.
_ASKED = ("1+1=", "the capital of France is", "x", "to be or not to", "12345678+1=", "a b c d e f")
ROWS: tuple[Row, ...] = tuple(
    {
        "prompt": prompt,
        "completion": f"{number} and more"[: 3 + 2 * number],
        "answer": str(number),
        "text": prompt * (1 + number % 3),
        "chosen": f"yes, {number}",
        "rejected": f"no, {prompt}",
    }
    for number, prompt in enumerate(_ASKED)
)
# Needs that any one of several columns meets.
_MET_BY = {
    "text": ("text", "messages", "prompt", "completion"),
    "reference": REFERENCE_COLUMNS,
    COMPARED: (*REFERENCE_COLUMNS, "completion"),
}


def evaluator_conformance(
    evaluator: object,
    *,
    params: Mapping[str, Any] | None = None,
    rows: Iterable[Row] = ROWS,
    **more: Any,
) -> type[EvaluatorConformance]:
    """Tests of an evaluator, as a class for pytest to collect: its name begins with `Test`.

    Args:
        evaluator: the name of a registered evaluator, or a class.
        params: its parameters.
        rows: at least three that bring what it needs; by default, prompts with completions,
            answers, texts and preferences.
        more: other attributes of `EvaluatorConformance`, such as `settings={"temperature": 1.0}`.

    Raises:
        TypeError: for an attribute that there is not.
        ValueError: for fewer than three rows.
    """
    if unknown := sorted(set(more) - set(EvaluatorConformance.__annotations__)):
        raise TypeError(f"evaluator_conformance has no setting {', '.join(map(repr, unknown))}")
    rows = tuple(rows)
    if len(rows) < 3:
        raise ValueError(f"{len(rows)} rows say nothing of their order; bring at least three")
    is_name = isinstance(evaluator, str)
    base = RegisteredEvaluatorConformance if is_name else EvaluatorConformance
    body = {"evaluator": evaluator, "params": dict(params or {}), "rows": rows, **more}
    return type("EvaluatorConformance", (base,), body)


class EvaluatorConformance:
    """Tests of an evaluator; subclass it in a test file, or use `evaluator_conformance`.

    `evaluator`, `params`, `rows`: as for `evaluator_conformance`.
    `settings`: of the evaluation, beside a batch of 2 rows and 6 new tokens.
    `tolerance`: how far values may differ between batches, as a part of them.
    `from_rows`: whether each metric must follow from the values of the rows, as its `combine` says.
    """

    evaluator: ClassVar[Any]
    params: ClassVar[Mapping[str, Any]] = {}
    rows: ClassVar[Sequence[Row]] = ROWS
    settings: ClassVar[Mapping[str, Any]] = {}
    tolerance: ClassVar[float] = 1e-4
    from_rows: ClassVar[bool] = True

    def make(self) -> Evaluator:
        """A fresh object of the evaluator."""
        if isinstance(self.evaluator, str):
            return resolve({"type": self.evaluator, "params": self.params}, plugins.get())
        made: Evaluator = self.evaluator(**self.params)
        return made

    def measure(
        self, rows: Sequence[Row] | None = None, *, side: str = "left", batch_size: int = 2
    ) -> Evaluation:
        """Measure the tiny model, with the tokenizer padding on this side."""
        model, tokenizer = _tiny()
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.padding_side = side
        how = {"max_new_tokens": 6, **self.settings, "batch_size": batch_size}
        given = self.rows if rows is None else rows
        prepared = prepare(given, [self.make()], EvaluationSettings(**how), plugins.get())
        return prepared.run(model, tokenizer)

    def same(self, found: Evaluation, wanted: Evaluation, said: str) -> None:
        """Assert that all numbers of all metrics are equal, but for the last digits of a model."""
        names = [metric.name for metric in found.metrics]
        assert names == [metric.name for metric in wanted.metrics], f"other metrics {said}"
        for one, other in zip(found.metrics, wanted.metrics, strict=True):
            for key in ("value", "n", "stderr", "low", "high"):
                a, b = getattr(one, key), getattr(other, key)
                near = a == b or _near(a, b, self.tolerance)
                assert near, f"{one.name} has {key} {a} {said}, and {b} otherwise"

    def test_it_measures(self) -> None:
        """A tiny model gets metrics, within their intervals, and the same ones again."""
        found = self.measure()
        assert found.metrics, "it returns no metric"
        for metric in found.metrics:
            assert metric.n <= len(self.rows), f"{metric.name} rests on {metric.n} rows"
            low, high = metric.interval or (-math.inf, math.inf)
            assert low <= metric.value <= high, f"{metric.name} lies outside its interval"
        self.same(self.measure(), found, "the second time")

    def test_measures_what_it_says(self) -> None:
        """What `measures` says before is what `evaluate` gives, with the same directions."""
        said = dict(self.make().measures())
        found = {metric.name: metric.higher_is_better for metric in self.measure().metrics}
        assert not said or said == found, f"measures() says {said}, and evaluate gives {found}"

    def test_rows_make_the_value(self) -> None:
        """Each metric follows from the values that it leaves beside the rows."""
        if not self.from_rows:
            return
        found = self.measure()
        for metric in found.metrics:
            assert metric.combine is not None, (
                f"{metric.name} does not say how rows make it; give it a `combine`, or set "
                "from_rows=False where they cannot"
            )
            if metric.combine.kind != "corpus":
                self._follows(metric, metric.combine, found.samples)

    def _follows(self, metric: Metric, combine: Combine, samples: Sequence[Row]) -> None:
        values = [(_value(row, combine.top), _value(row, combine.bottom)) for row in samples]
        kept = [(top, bottom) for top, bottom in values if top is not None]
        if combine.kind != "mean":
            kept = [(top, bottom) for top, bottom in kept if bottom]
        assert len(kept) == metric.n, (
            f"{metric.name} has n {metric.n}; {len(kept)} rows have values"
        )
        total = math.fsum(top for top, _ in kept)
        below = len(kept) if combine.kind == "mean" else math.fsum(b or 0.0 for _, b in kept)
        value = math.exp(total / below) if combine.kind == "exp_ratio" else total / below
        near = _near(value, metric.value, self.tolerance)
        assert near, f"{metric.name} is {metric.value}, and its rows make {value}"

    def test_batch_size_does_not_matter(self) -> None:
        """One row at a time, or all at once."""
        wanted = self.measure(batch_size=1)
        self.same(self.measure(batch_size=len(self.rows)), wanted, "in one batch")

    def test_order_does_not_matter(self) -> None:
        """Rows the other way round give the same metrics, and each row keeps its own values."""
        wanted, found = self.measure(), self.measure(tuple(reversed(self.rows)))
        for one, other in zip(reversed(found.samples), wanted.samples, strict=True):
            for name, value in (other.get("scores") or {}).items():
                near = value == one["scores"][name] or _near(
                    value, one["scores"][name], self.tolerance
                )
                assert near, f"a row has another {name} in another place"
        for metric, other_metric in zip(found.metrics, wanted.metrics, strict=True):
            name, value, expected = metric.name, metric.value, other_metric.value
            assert metric.n == other_metric.n, f"{name} rests on other rows in another order"
            assert _near(value, expected, self.tolerance), f"{name} is {value} in another order"

    def test_padding_does_not_matter(self) -> None:
        """The side on which the tokenizer pads."""
        self.same(self.measure(side="right"), self.measure(side="left"), "padded on the right")

    def test_a_missing_column_is_named(self) -> None:
        """Without a column that it needs, `prepare` says so, and the model is not asked."""
        evaluator = self.make()
        how = EvaluationSettings(**{"max_new_tokens": 6, **self.settings})
        named = {"prompt": (how.prompt_column,), "reference": (how.reference_column,)}
        for need in evaluator.needs:
            gone = (*_MET_BY.get(need, (need,)), *named.get(need.partition(" ")[0], ()))
            rows = [{k: v for k, v in row.items() if k not in gone} for row in self.rows]
            try:
                evaluator.prepare(rows, how, plugins.get())
            except AlignTuneError as error:
                said = str(error)
            else:
                raise AssertionError(f"prepare accepts rows without {need!r}; call super().prepare")
            assert evaluator.name in said, f"the error does not name it: {said}"


class RegisteredEvaluatorConformance(EvaluatorConformance):
    """The same for a registered name, and that its manifest is light and right."""

    def test_manifest_is_light(self) -> None:
        """Importing the manifest imports nothing heavy."""
        found = Manifest(self._entry()).heavy()
        assert not found, (
            f"the manifest imports {', '.join(found)}; import them where they are used"
        )

    def test_manifest_is_right(self) -> None:
        """What the manifest says is what the evaluator is."""
        entry = self._entry()
        wrong = list(Manifest(entry).facts())
        needs = set(self.make().needs)
        if needs != set(entry.facts.needs):
            wrong.append(f"the manifest says it needs {entry.facts.needs}, the class {needs}")
        completes = any("completion" in sample for sample in self.measure().samples)
        if completes != entry.facts.generates:
            wrong.append(f"the manifest says generates={entry.facts.generates}, which is not so")
        assert not wrong, "; ".join(wrong)

    def _entry(self) -> Any:
        return plugins.get().find(plugins.get().evaluators, self.evaluator)


@cache
def _tiny() -> tuple[Any, Any]:
    """A model with wide weights, so that no rounding decides which token is likeliest."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        path = make_model(Path(folder) / "tiny", initializer_range=0.3, positions=256)
        model = AutoModelForCausalLM.from_pretrained(path, dtype="float32")
        tokenizer = AutoTokenizer.from_pretrained(path)
    model.eval()  # type: ignore[no-untyped-call]
    return model, tokenizer


def _value(sample: Row, key: str) -> float | None:
    scores = sample.get("scores") or {}
    found: float | None = scores.get(key, sample.get(key)) if key else None
    return found


def _near(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
