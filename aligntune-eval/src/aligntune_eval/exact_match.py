"""Exact match: the completion is the reference, letter by letter."""

from __future__ import annotations

import string
from typing import Any, ClassVar

from aligntune.evaluation import EvaluationContext, Evaluator, Metric
from aligntune.evaluation.columns import reference_column
from aligntune_eval.generation import completions, generation_details
from aligntune_eval.statistics import mean_metric

__all__ = ["ExactMatch"]

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExactMatch(Evaluator):
    """Share of completions that equal their reference, white space at both ends aside.

    A reference that is a list names several right answers. `ignore_case` compares case-folded,
    `ignore_punctuation` without ASCII punctuation.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt", "reference")

    def __init__(
        self,
        ignore_case: bool = False,
        ignore_punctuation: bool = False,
        name: str = "exact_match",
    ) -> None:
        self.name = name
        self.ignore_case = ignore_case
        self.ignore_punctuation = ignore_punctuation

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        column = reference_column(context.rows, context.settings)
        references = [row[column] for row in context.rows]
        context.note("reference", references)
        values = [
            float(self._same(completion.text, reference))
            for completion, reference in zip(completions(context), references, strict=True)
        ]
        context.score(self.name, values)
        details = {
            "reference_column": column,
            "ignore_case": self.ignore_case,
            "ignore_punctuation": self.ignore_punctuation,
            **generation_details(context),
        }
        return [mean_metric(self.name, values, seed=context.settings.seed, details=details)]

    def _same(self, text: str, reference: Any) -> bool:
        right = reference if isinstance(reference, list | tuple) else [reference]
        return self._plain(text) in {self._plain(str(answer)) for answer in right}

    def _plain(self, text: str) -> str:
        if self.ignore_case:
            text = text.casefold()
        if self.ignore_punctuation:
            text = text.translate(_NO_PUNCTUATION)
        return text.strip()
