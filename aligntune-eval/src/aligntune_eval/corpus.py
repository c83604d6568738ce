"""BLEU, chrF and TER of corpora, by sacrebleu, with the signature that makes them comparable."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.evaluation import EvaluationContext, Metric
from aligntune_eval.reference_metric import ReferenceMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Bleu", "Chrf", "Ter"]

_RESAMPLES = 1000


class Bleu(ReferenceMetric):
    """BLEU of all completions together (Papineni et al. 2002), 0 to 100, by sacrebleu.

    `tokenize`: one of sacrebleu's tokenizers, such as `13a`, `intl`, `char` (for languages without
    spaces). `lowercase`: compare in lower case. A row's score is its sentence BLEU, with the orders
    of n-grams that the sentence has.
    """

    def __init__(self, tokenize: str = "13a", lowercase: bool = False, name: str = "bleu") -> None:
        self.name = name
        self.options: dict[str, Any] = {"tokenize": tokenize, "lowercase": lowercase}

    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        from sacrebleu.metrics.bleu import BLEU

        of_sentence = BLEU(effective_order=True, **self.options)
        context.score(
            self.name,
            [
                of_sentence.sentence_score(text, list(right)).score
                for text, right in zip(predictions, references, strict=True)
            ],
        )
        return [_corpus(self.name, BLEU(**self.options), predictions, references, details)]


class Chrf(ReferenceMetric):
    """chrF of all completions together (Popović 2015), 0 to 100, by sacrebleu.

    `word_order`: 0 for chrF, 2 for chrF++.
    """

    def __init__(self, word_order: int = 0, name: str = "chrf") -> None:
        if word_order < 0:
            raise ValueError(f"word_order must be 0 or more, not {word_order}")
        self.name = name
        self.word_order = word_order

    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        from sacrebleu.metrics.chrf import CHRF

        chrf = CHRF(word_order=self.word_order)
        context.score(
            self.name,
            [
                chrf.sentence_score(text, list(right)).score
                for text, right in zip(predictions, references, strict=True)
            ],
        )
        return [
            _corpus(self.name, CHRF(word_order=self.word_order), predictions, references, details)
        ]


class Ter(ReferenceMetric):
    """The translation edit rate (Snover et al. 2006) of all completions together, by sacrebleu.

    The edits that make the completions one of their references, shifts of words among them, for
    each 100 words of the references; lower is better. `case_sensitive`: upper case counts.
    """

    def __init__(self, case_sensitive: bool = False, name: str = "ter") -> None:
        self.name = name
        self.case_sensitive = case_sensitive

    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        from sacrebleu.metrics.ter import TER

        ter = TER(case_sensitive=self.case_sensitive)
        context.score(
            self.name,
            [
                ter.sentence_score(text, list(right)).score
                for text, right in zip(predictions, references, strict=True)
            ],
        )
        whole = TER(case_sensitive=self.case_sensitive)
        found = _corpus(self.name, whole, predictions, references, details)
        return [replace(found, higher_is_better=False)]


def _corpus(
    name: str,
    metric: Any,
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    details: dict[str, Any],
) -> Metric:
    """One score of the corpus, with sacrebleu's own bootstrap over rows for its interval."""
    count = max(map(len, references))
    # sacrebleu takes one list for each n-th reference, None where a row has no n-th.
    streams = [[r[n] if n < len(r) else None for r in references] for n in range(count)]
    resamples = _RESAMPLES if len(predictions) > 1 else 1
    score = metric.corpus_score(list(predictions), streams, n_bootstrap=resamples)
    said = json.loads(score.format(width=17, signature=str(metric.get_signature()), is_json=True))
    details = {**details, "signature": said["signature"], "interval": "none"}
    low = high = None
    if "confidence_mean" in said:
        details["interval"] = "bootstrap"
        middle, half = said["confidence_mean"], said["confidence_var"]
        low, high = middle - half, middle + half
    return Metric(
        name, score.score, len(predictions), None, low, high, details=details, higher_is_better=True
    )
