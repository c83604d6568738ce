"""What metrics that compare generated completions with reference texts have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune.data.formats.values import shown
from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune.evaluation.columns import COMPARED, Rows, compared_column
from aligntune.scoring.conversation import completion_text, is_conversation
from aligntune_eval.asking.generation import check_prompts, generation_details
from aligntune_eval.metrics.per_row import answers_of, means, repeated
from aligntune_eval.statistics import mean_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.plugins import Plugins

__all__ = ["ReferenceMetric", "TextMetric", "reference_texts"]


class ReferenceMetric(Evaluator):
    """A metric of completions against references.

    The reference is what `reference_column` finds, or else the `completion` of the row: text, chat
    messages (the assistant's last), or a list of texts that are all right. Of several completions
    of a row the mean counts.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt", COMPARED)

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        """Check that every row has a reference.

        Raises:
            EvaluationError: naming the first row without one.
        """
        super().prepare(rows, settings, plugins)
        column = compared_column(rows, settings)
        for index, row in enumerate(rows):
            _check_reference(f"evaluator {self.name!r}: {column!r} of row {index}", row[column])

    def check(self, context: EvaluationContext) -> None:
        """See that the model can complete every prompt."""
        check_prompts(context)

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        column = compared_column(context.rows, context.settings)
        context.note("reference", [row[column] for row in context.rows])
        predictions = [answer.text for answer in answers_of(context)]
        times = len(predictions) // len(context.rows)
        references = repeated([reference_texts(row[column]) for row in context.rows], times)
        details = {"reference_column": column, **generation_details(context)}
        return self.measure(predictions, references, details, context)

    @abstractmethod
    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        """The metrics of predictions, each against one or more references; `details` for each.

        Where rows have several completions, those of a row stand one after the other.
        """

    def mean(
        self,
        name: str,
        values: Sequence[float],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> Metric:
        """The mean over rows of the values of predictions; a row's own mean becomes its score."""
        rows = means(values, len(context.rows))
        context.score(name, rows)
        return mean_metric(
            name,
            [value for value in rows if value is not None],
            seed=context.settings.seed,
            details=details,
            higher_is_better=self.direction(name),
        )

    def direction(self, name: str) -> bool | None:
        """Whether more is better of the metric called `name`."""
        return self.measures()[name]


class TextMetric(ReferenceMetric):
    """The mean of one number for each completion; higher is better."""

    def measures(self) -> dict[str, bool | None]:
        return {self.name: True}

    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        pairs = zip(predictions, references, strict=True)
        values = [self.value(text, right) for text, right in pairs]
        return [self.mean(self.name, values, {**details, **self.details()}, context)]

    @abstractmethod
    def value(self, text: str, references: Sequence[str]) -> float:
        """The number of one completion against one or more references."""

    def details(self) -> dict[str, Any]:
        """What is needed to repeat the measurement, beside what all metrics tell."""
        return {}


def _check_reference(what: str, value: Any) -> None:
    """Refuse a reference that holds no text, or that no completion could equal."""
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise EvaluationError(
            f"{what} is an empty list; a reference is a text, or a list of at least one"
        )
    if isinstance(value, list | tuple) and is_conversation(value):
        return
    for item in items:
        if item is None or isinstance(item, Mapping | list | tuple):
            raise EvaluationError(
                f"{what} holds {shown(item)}; a reference is a text, a list of texts, or chat "
                "messages"
            )


def reference_texts(value: Any) -> list[str]:
    """The right texts that a value holds.

    Raises:
        EvaluationError: if it is an empty list.
    """
    if isinstance(value, list | tuple):
        if not value:
            raise EvaluationError("a reference is an empty list; it must hold at least one text")
        if all(isinstance(item, dict) for item in value):
            return [completion_text(value)]
        return [str(item) for item in value]
    return [str(value)]
