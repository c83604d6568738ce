"""What metrics that compare generated completions with reference texts have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune.evaluation.columns import Rows, columns_of, reference_column, require
from aligntune.scoring.conversation import completion_text
from aligntune_eval.generation import completions, generation_details

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.plugins import Plugins

__all__ = ["ReferenceMetric", "reference_texts"]


class ReferenceMetric(Evaluator):
    """A metric of completions against references.

    The reference is what `reference_column` finds, or else the `completion` of the row: text, chat
    messages (the assistant's last), or a list of texts that are all right.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt",)

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        super().prepare(rows, settings, plugins)
        require(self.name, [_column(rows, settings)], rows, settings)

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        column = _column(context.rows, context.settings)
        references = [reference_texts(row[column]) for row in context.rows]
        context.note("reference", [row[column] for row in context.rows])
        predictions = [completion.text for completion in completions(context)]
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
        """The metrics of predictions, each against one or more references; `details` for each."""


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


def _column(rows: Rows, settings: EvaluationSettings) -> str:
    try:
        return reference_column(rows, settings)
    except EvaluationError:
        if settings.reference_column is None and "completion" in columns_of(rows):
            return "completion"
        raise
