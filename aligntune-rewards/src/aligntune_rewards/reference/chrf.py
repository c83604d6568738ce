"""Sentence chrF by sacrebleu."""

from __future__ import annotations

from typing import Any

from aligntune_rewards.checks import whole
from aligntune_rewards.code.checked import flag
from aligntune_rewards.reference.sentence_score import SentenceScore

__all__ = ["ChrfReward"]


class ChrfReward(SentenceScore):
    """chrF of the completion against its references, from 0 to 1.

    The F-measure, recall counting `beta` times as much as precision, of character n-grams up to
    `char_order` (Popović 2015), by sacrebleu; with `word_order` 2 it is chrF++. Divided by 100. It
    needs no tokenizer, so it serves every language. Of several references the best counts.

    Range: 0 to 1. Higher is better. Columns: the reference; a row without one is left out (None).
    Needs `pip install "aligntune-rewards[reference]"`.

    Args:
        char_order: the longest character n-grams.
        word_order: the longest word n-grams; 0 leaves words out, 2 is chrF++.
        beta: how much more recall counts than precision.
        lowercase: take upper and lower case as equal.
        whitespace: count white space as characters.
        eps_smoothing: as chrF++.py and NLTK do, count orders that the texts are too short for.

    Attributes:
        signature: what sacrebleu says of how it scores, such as
            `nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0`, with the number of
            references of the last row.

    Raises:
        ValueError: for a parameter out of its bounds.
        TypeError: when scoring, if a reference is no text.
    """

    name = "chrf"

    def __init__(
        self,
        char_order: int = 6,
        word_order: int = 0,
        beta: int = 2,
        *,
        lowercase: bool = False,
        whitespace: bool = False,
        eps_smoothing: bool = False,
    ) -> None:
        for name, value, least in (
            ("char_order", char_order, 1),
            ("word_order", word_order, 0),
            ("beta", beta, 1),
        ):
            whole(name, value, least)
        self.char_order = char_order
        self.word_order = word_order
        self.beta = beta
        self.lowercase = flag(lowercase, "lowercase")
        self.whitespace = flag(whitespace, "whitespace")
        self.eps_smoothing = flag(eps_smoothing, "eps_smoothing")

    def make(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(
            char_order=self.char_order,
            word_order=self.word_order,
            beta=self.beta,
            lowercase=self.lowercase,
            whitespace=self.whitespace,
            eps_smoothing=self.eps_smoothing,
        )
