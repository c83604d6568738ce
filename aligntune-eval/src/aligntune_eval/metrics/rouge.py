"""ROUGE (Lin 2004) by rouge-score, with a tokenizer that reads every script."""

from __future__ import annotations

import importlib.metadata
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from aligntune.evaluation import EvaluationContext, Metric
from aligntune_eval.metrics.reference_metric import ReferenceMetric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Rouge", "words"]

_TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
# A letter of a script without spaces between words is a word of its own; elsewhere, runs of
# letters and digits are. Of ASCII text this gives what rouge-score's own tokenizer gives.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Japanese, Chinese
)
_LETTER = rf"[^\W_{_UNSPACED}]"
# Vowel signs and accents of their own, which `\w` does not hold, and joiners belong to their word.
_MARKS = "\u200c\u200d" + re.sub(
    f"[{_UNSPACED}]",
    "",
    "".join(c for c in map(chr, range(0x300, 0x20000)) if unicodedata.category(c)[0] == "M"),
)
_WORD = re.compile(rf"[{_UNSPACED}]|{_LETTER}(?:{_LETTER}|[{_MARKS}])*")
_UNSTEMMED = 3  # letters of the longest words that rouge-score leaves as they are
# The wide marks are those of Chinese and Japanese.
_SENTENCE_END = re.compile("(?<=[.!?])\\s+|(?<=[\u3002\uff01\uff1f])\\s*")


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


class _Tokenizer:
    """What rouge-score asks of a tokenizer."""

    def __init__(self, stemmer: bool) -> None:
        self._stem: Callable[[str], str] | None = None
        if stemmer:
            from nltk.stem.porter import PorterStemmer

            self._stem = PorterStemmer().stem

    def tokenize(self, text: str) -> list[str]:
        if self._stem is None:
            return words(text)
        return [self._stem(word) if len(word) > _UNSTEMMED else word for word in words(text)]


class Rouge(ReferenceMetric):
    """Mean F-measures of ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum (Lin 2004), 0 to 1.

    F of the common words, pairs of words, and longest common subsequence of words. ROUGE-Lsum
    compares sentence by sentence: the texts are split after `.`, `!` and `?`, and where they have
    line ends. Where a row has several references, the best one counts. Higher is better. Rows need
    a prompt and a reference or `completion`.

    `name`: stands before the names of the metrics, unless it is `rouge`. `stemmer`: compare
    Porter's stems of English words longer than three letters.

    Raises:
        ValueError: if `stemmer` is neither true nor false.
    """

    def __init__(self, name: str = "rouge", stemmer: bool = False) -> None:
        if not isinstance(stemmer, bool):
            raise ValueError(f"stemmer is {stemmer!r}; it is true or false")  # noqa: TRY004
        self.stemmer = stemmer
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

        scorer = RougeScorer(list(_TYPES), tokenizer=_Tokenizer(self.stemmer))
        scores = [
            scorer.score_multi([_lines(each) for each in right], _lines(text))
            for text, right in zip(predictions, references, strict=True)
        ]
        version = importlib.metadata.version("rouge-score")
        details = {**details, "rouge_score": version, "stemmer": self.stemmer}
        found = []
        for kind in _TYPES:
            values = [float(score[kind].fmeasure) for score in scores]
            found.append(self.mean(self._called(kind), values, details, context))
        return found


def _lines(text: str) -> str:
    return _SENTENCE_END.sub("\n", text)
