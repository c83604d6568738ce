"""METEOR (Banerjee and Lavie 2005) by NLTK, without the synonyms that need a download."""

from __future__ import annotations

import importlib.metadata
import math
from typing import TYPE_CHECKING, Any

from aligntune_eval.metrics.reference_metric import TextMetric
from aligntune_eval.metrics.rouge import words

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Meteor"]


class _NoSynonyms:
    """Stands where NLTK asks WordNet, which is no part of NLTK and would have to be downloaded."""

    def synsets(self, word: str) -> list[Any]:
        return []


class Meteor(TextMetric):
    """Mean METEOR (Banerjee and Lavie 2005) of the completions, 0 to 1; higher is better.

    Words match if they or their Porter stems are equal. With precision P, recall R and m matches in
    c runs: (1 - gamma (c/m)^beta) · PR / (alpha P + (1 - alpha) R), by NLTK. Synonyms do not match,
    so values are a little below those of METEOR with WordNet. Where a row has several references,
    the best one counts. Rows need a prompt and a reference or `completion`.

    `name`: what the metric is called. `alpha`, `beta`, `gamma`: of the formula.

    Raises:
        ValueError: for a parameter out of its bounds.
    """

    def __init__(
        self, name: str = "meteor", alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5
    ) -> None:
        if not 0 <= alpha <= 1 or not 0 <= gamma <= 1:
            raise ValueError(f"alpha is {alpha} and gamma {gamma}; both lie between 0 and 1")
        if not 0 <= beta < math.inf:
            raise ValueError(f"beta is {beta}; it is a finite number, 0 or more")
        self.weights = {"alpha": alpha, "beta": beta, "gamma": gamma}
        self.name = name

    def value(self, text: str, references: Sequence[str]) -> float:
        from nltk.translate.meteor_score import meteor_score

        right = [words(each) for each in references]
        return float(meteor_score(right, words(text), wordnet=_NoSynonyms(), **self.weights))

    def details(self) -> dict[str, Any]:
        version = importlib.metadata.version("nltk")
        return {"matches": "exact, stem", "nltk": version, **self.weights}
