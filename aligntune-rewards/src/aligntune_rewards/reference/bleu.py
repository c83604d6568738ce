"""Sentence BLEU by sacrebleu."""

from __future__ import annotations

from typing import Any, Literal, get_args

from aligntune_rewards.checks import number, whole
from aligntune_rewards.code.checked import flag
from aligntune_rewards.reference.sentence_score import SentenceScore

__all__ = ["BleuReward", "Smoothing", "Tokenizer"]

# Those of sacrebleu that need no download and no other package.
Tokenizer = Literal["13a", "intl", "zh", "char", "none"]
Smoothing = Literal["exp", "floor", "add-k", "none"]


class BleuReward(SentenceScore):
    """BLEU of the completion against its references, from 0 to 1.

    Sentence BLEU with `effective_order` by sacrebleu (Post 2018, arXiv 1804.08771; BLEU is Papineni
    et al. 2002): the geometric mean of the precisions of 1-grams to `max_order`-grams, those orders
    left out that the completion is too short for, times the brevity penalty exp(1 - r/c) if the
    completion has c tokens and the reference nearest in length r > c. Divided by 100. A reference
    that is a list holds several right texts, and an n-gram may come from any of them.

    Range: 0 to 1. Higher is better. Columns: the reference; a row without one is left out (None).
    Needs `pip install "aligntune-rewards[reference]"`.

    Args:
        tokenizer: `"13a"` (of WMT, for languages with spaces), `"intl"` (all Unicode marks and
            symbols are tokens), `"zh"` (Chinese), `"char"` (each character), `"none"` (at spaces).
        lowercase: take upper and lower case as equal.
        max_order: the longest n-grams.
        smoothing: how a precision of 0 is smoothed: `"exp"`, `"floor"`, `"add-k"` or `"none"`.
        smoothing_value: of `"floor"` (0.1) and `"add-k"` (1).

    Attributes:
        signature: what sacrebleu says of how it scores, such as
            `nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:2.6.0`, with the number of
            references of the last row.

    Raises:
        ValueError: for a parameter that sacrebleu has not, or that has no effect.
        TypeError: when scoring, if a reference is no text.
    """

    name = "bleu"

    def __init__(
        self,
        tokenizer: Tokenizer = "13a",
        lowercase: bool = False,
        max_order: int = 4,
        smoothing: Smoothing = "exp",
        smoothing_value: float | None = None,
    ) -> None:
        for name, value, allowed in (
            ("tokenizer", tokenizer, get_args(Tokenizer)),
            ("smoothing", smoothing, get_args(Smoothing)),
        ):
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it is one of {', '.join(allowed)}")
        whole("max_order", max_order, 1)
        if smoothing_value is not None:
            number("smoothing_value", smoothing_value)
            if smoothing not in ("floor", "add-k"):
                raise ValueError(
                    f"smoothing_value has no effect with smoothing {smoothing!r}; it is of "
                    "'floor' and 'add-k'"
                )
            if not 0 < smoothing_value < float("inf"):
                raise ValueError(f"smoothing_value is {smoothing_value}; it must be above 0")
        self.tokenizer = tokenizer
        self.lowercase = flag(lowercase, "lowercase")
        self.max_order = max_order
        self.smoothing = smoothing
        self.smoothing_value = smoothing_value

    def make(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(
            tokenize=self.tokenizer,
            lowercase=self.lowercase,
            max_ngram_order=self.max_order,
            smooth_method=self.smoothing,
            smooth_value=self.smoothing_value,
            effective_order=True,
        )
