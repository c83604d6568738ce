"""F1 of the words of answers, as in SQuAD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.evaluation import EvaluationContext, Metric
from aligntune_eval.metrics.reference_metric import ReferenceMetric
from aligntune_eval.metrics.squad import token_f1

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["F1"]


class F1(ReferenceMetric):
    """Mean F1 of the words of completion and reference, 0 to 1; higher is better.

    With P the share of the completion's words that the reference has, R the share of the
    reference's that the completion has: 2PR/(P + R). Words are those of SQuAD's official script
    (Rajpurkar et al. 2016, arXiv 1606.05250): lower case, no punctuation, no English articles. Of
    several references the best counts. Rows need a prompt and a reference or `completion`.

    `name`: what the metric is called.
    """

    def __init__(self, name: str = "f1") -> None:
        self.name = name

    def measures(self) -> dict[str, bool | None]:
        return {self.name: True}

    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        values = [
            max(token_f1(text, each) for each in right)
            for text, right in zip(predictions, references, strict=True)
        ]
        return [self.mean(self.name, values, {**details, "normalize": "squad"}, context)]
