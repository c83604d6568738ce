"""ROUGE (Lin 2004) by rouge-score, with a tokenizer that reads every script."""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING, Any

from aligntune.evaluation import EvaluationContext, Metric
from aligntune_eval.reference_metric import ReferenceMetric
from aligntune_eval.statistics import mean_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Rouge", "words"]

_TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
# A letter of a script without spaces between words is a word of its own; elsewhere, runs of
# letters and digits are. Of ASCII text this gives what rouge-score's own tokenizer gives.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Japanese, Chinese
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
# The wide marks are those of Chinese and Japanese.
_SENTENCE_END = re.compile("(?<=[.!?])\\s+|(?<=[\u3002\uff01\uff1f])\\s*")


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


class _Tokenizer:
    """What rouge-score asks of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


class Rouge(ReferenceMetric):
    """Mean F-measures of ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum, 0 to 1.

    ROUGE-Lsum compares sentence by sentence: the texts are split after `.`, `!` and `?`, and where
    they have line ends. Where a row has several references, the best one counts. No stemming.
    """

    def __init__(self, name: str = "rouge") -> None:
        self.name = name

    def measures(self) -> dict[str, bool | None]:
        return {self._called(kind): True for kind in _TYPES}

    def _called(self, kind: str) -> str:
        return kind if self.name == "rouge" else f"{self.name}/{kind}"

    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(list(_TYPES), tokenizer=_Tokenizer())
        scores = [
            scorer.score_multi([_lines(each) for each in right], _lines(text))
            for text, right in zip(predictions, references, strict=True)
        ]
        details = {**details, "rouge_score": importlib.metadata.version("rouge-score")}
        found = []
        for kind in _TYPES:
            values = [float(score[kind].fmeasure) for score in scores]
            name = self._called(kind)
            context.score(name, values)
            found.append(mean_metric(name, values, seed=context.settings.seed, details=details))
        return found


def _lines(text: str) -> str:
    return _SENTENCE_END.sub("\n", text)
