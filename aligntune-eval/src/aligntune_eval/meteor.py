"""METEOR (Banerjee and Lavie 2005) by NLTK, without the synonyms that need a download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.evaluation import EvaluationContext, Metric
from aligntune_eval.reference_metric import ReferenceMetric
from aligntune_eval.rouge import words
from aligntune_eval.statistics import mean_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Meteor"]


class _NoSynonyms:
    """Stands where NLTK asks WordNet, which is no part of NLTK and would have to be downloaded."""

    def synsets(self, word: str) -> list[Any]:
        return []


class Meteor(ReferenceMetric):
    """Mean METEOR of the completions, 0 to 1: words match if they or their Porter stems are equal.

    Synonyms do not match, so values are a little below those of METEOR with WordNet. Where a row
    has several references, the best one counts.
    """

    def __init__(self, name: str = "meteor") -> None:
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
        from nltk.translate.meteor_score import meteor_score

        values = [
            float(meteor_score([words(each) for each in right], words(text), wordnet=_NoSynonyms()))
            for text, right in zip(predictions, references, strict=True)
        ]
        context.score(self.name, values)
        details = {**details, "matches": "exact, stem"}
        return [mean_metric(self.name, values, seed=context.settings.seed, details=details)]
