"""ROUGE by rouge-score, with a tokenizer that reads every script."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, get_args

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import need
from aligntune_rewards.code.checked import flag
from aligntune_rewards.reference.references import reference_texts
from aligntune_rewards.words import sentences, words

__all__ = ["Measure", "RougeReward", "Variant"]

Variant = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
Measure = Literal["f", "precision", "recall"]


class RougeReward(RewardFunction):
    """ROUGE (Lin 2004) of the completion against its references, from 0 to 1.

    `rouge1` and `rouge2` compare words and pairs of words, `rougeL` the longest common subsequence
    of words, `rougeLsum` that of each sentence of the reference with all those of the completion
    (sentences end with `.`, `!`, `?` and with lines). By rouge-score; but its own tokenizer knows
    no letters beyond a to z, so words are taken as `aligntune_rewards.words.words` does, with equal
    values on ASCII text. The length of the longest common subsequence is found by the bit-parallel
    algorithm of Hyyrö (2004), since rouge-score's table takes seconds on long texts. Of several
    references the one with the best F-measure counts, as in rouge-score.

    Range: 0 to 1. Higher is better. Columns: the reference; a row without one is left out (None),
    as is one whose reference has no word. Needs `pip install "aligntune-rewards[reference]"`.

    Args:
        variant: `"rouge1"`, `"rouge2"`, `"rougeL"` or `"rougeLsum"`.
        measure: `"f"`, `"precision"` or `"recall"`. Recall grows with length, whatever is said, and
            precision with brevity: use them beside a reward that sees the other side.
        stemmer: compare the stems of English words longer than three letters (Porter).

    Raises:
        ValueError: for a variant or measure that there is not.
        TypeError: when scoring, if a reference is no text.
    """

    name = "rouge"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)

    def __init__(
        self, variant: Variant = "rougeL", measure: Measure = "f", stemmer: bool = False
    ) -> None:
        if variant not in get_args(Variant):
            raise ValueError(f"variant is {variant!r}; it is one of {', '.join(get_args(Variant))}")
        if measure not in get_args(Measure):
            raise ValueError(f"measure is {measure!r}; it is one of {', '.join(get_args(Measure))}")
        self.variant = variant
        self.measure = measure
        self.stemmer = flag(stemmer, "stemmer")

    @cached_property
    def scorer(self) -> Any:
        """The object of rouge-score that scores."""
        need("rouge_score", "reference", f"reward {self.name!r}")
        from rouge_score.rouge_scorer import RougeScorer

        return RougeScorer([self.variant], tokenizer=_Tokenizer(self.stemmer))

    def load(self) -> None:
        """Import rouge-score.

        Raises:
            UnavailableError: if it is not installed.
        """
        _ = self.scorer

    def compute(self, text: str, reference: Any = None) -> float | None:
        references = [each for each in reference_texts(reference) if words(each)]
        if not references:
            return None
        if self.variant == "rougeL":
            score = self._best_common(references, text)
        else:
            if self.variant == "rougeLsum":
                text = "\n".join(sentences(text))
                references = ["\n".join(sentences(each)) for each in references]
            score = self.scorer.score_multi(references, text)[self.variant]
        return float(score.fmeasure if self.measure == "f" else getattr(score, self.measure))

    def _best_common(self, references: list[str], text: str) -> Any:
        from rouge_score.scoring import Score, fmeasure

        tokenize = _Tokenizer(self.stemmer).tokenize
        said = tokenize(text)
        scores = []
        for each in references:
            wanted = tokenize(each)
            common = _common(wanted, said)
            precision, recall = common / max(1, len(said)), common / len(wanted)
            scores.append(Score(precision, recall, fmeasure(precision, recall)))
        return max(scores, key=lambda score: score.fmeasure)


class _Tokenizer:
    """What rouge-score asks of a tokenizer."""

    def __init__(self, stemmer: bool) -> None:
        self.stemmer = stemmer

    def tokenize(self, text: str) -> list[str]:
        if not self.stemmer:
            return words(text)
        from nltk.stem.porter import PorterStemmer

        stem = PorterStemmer().stem
        found = words(text)
        stems = {word: stem(word) if len(word) > 3 else word for word in set(found)}
        return [stems[word] for word in found]


def _common(wanted: list[str], said: list[str]) -> int:
    """The length of the longest common subsequence."""
    places: dict[str, int] = {}
    for index, word in enumerate(wanted):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(wanted)) - 1
    row = full  # a bit is 0 where the subsequence grows
    for word in said:
        if (match := places.get(word)) is not None:
            row = ((row + (row & match)) | (row & ~match)) & full
    return len(wanted) - row.bit_count()
