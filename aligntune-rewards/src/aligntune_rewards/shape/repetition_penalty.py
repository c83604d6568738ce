r"""A penalty for completions that say the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import whole
from aligntune_rewards.words import plain_form, words

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RepetitionPenaltyReward"]

Of = Literal["words", "tokens"]


class RepetitionPenaltyReward(RewardFunction):
    r"""The share of n-grams that were there before, times the largest penalty.

    (1 - distinct n-grams / n-grams) · max_penalty, which is 0 without repetition (Yeo et al. 2025,
    arXiv 2502.03373, appendix C.2). With the unit `"tokens"` it equals
    `trl.rewards.get_repetition_penalty_reward`.

    With the unit `"words"` invisible characters, marks on letters, wide or bold letters and letters
    that look like others do not make words different, nor do case and punctuation. A character of a
    script without spaces is a word. A completion shorter than an n-gram earns 0.

    Range: `max_penalty` to 0. Higher is better. Columns: none; with the unit `"tokens"`, the token
    ids of the completion are read.

    Args:
        ngram: how many words or tokens make an n-gram.
        max_penalty: what a completion that only repeats itself comes close to; below 0.
        unit: what n-grams are made of.

    Raises:
        ValueError: for values that make no sense; when scoring, if tokens are asked for and not
            known.
    """

    name = "repetition_penalty"
    range = (-1.0, 0.0)

    def __init__(self, ngram: int = 3, max_penalty: float = -1.0, unit: Of = "words") -> None:
        whole("ngram", ngram, 1)
        if not float("-inf") < max_penalty < 0.0:
            raise ValueError(f"max_penalty is {max_penalty}; it must be a finite number below 0")
        if unit not in get_args(Of):
            raise ValueError(f"unit is {unit!r}; it is one of {', '.join(get_args(Of))}")
        self.ngram = ngram
        self.max_penalty = max_penalty
        self.unit = unit
        self.range = (max_penalty, 0.0)

    def compute(self, text: str, *, completion_ids: Sequence[int] | None = None) -> float | None:
        parts: Sequence[Any]
        if self.unit == "words":
            parts = words(plain_form(text))
        elif completion_ids is None:
            raise ValueError("unit is 'tokens', and no token ids are given with the text")
        else:
            parts = completion_ids
        total = len(parts) - self.ngram + 1
        if total < 1:
            return 0.0
        distinct = len(set(zip(*(parts[i:] for i in range(self.ngram)), strict=False)))
        repeated = 1 - distinct / total
        return repeated * self.max_penalty if repeated else 0.0
