"""F1 of the words of answers, as in SQuAD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune_eval.metrics.reference_metric import TextMetric
from aligntune_eval.metrics.squad import token_f1

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["F1"]


class F1(TextMetric):
    """Mean F1 of the words of completion and reference, 0 to 1; higher is better.

    With P the share of the completion's words that the reference has, R the share of the
    reference's that the completion has: 2PR/(P + R). Words are those of SQuAD's official script
    (Rajpurkar et al. 2016, arXiv 1606.05250): lower case, no punctuation, no English articles. Of
    several references the best counts. Rows need a prompt and a reference or `completion`.

    `name`: what the metric is called.
    """

    def __init__(self, name: str = "f1") -> None:
        self.name = name

    def value(self, text: str, references: Sequence[str]) -> float:
        return max(token_f1(text, each) for each in references)

    def details(self) -> dict[str, Any]:
        return {"normalize": "squad"}
