"""Exact match: the completion is the reference, letter by letter."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, Literal

from aligntune_eval.metrics.reference_metric import TextMetric
from aligntune_eval.metrics.squad import normalized

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ExactMatch"]

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExactMatch(TextMetric):
    """Share of completions that equal their reference, 0 to 1; higher is better.

    White space at both ends never counts. A reference that is a list names several right answers.
    Rows need a prompt and a reference or `completion`.

    `ignore_case` compares case-folded, `ignore_punctuation` without ASCII punctuation.
    `normalize`: `"squad"` compares as SQuAD's official script does: lower case, no punctuation, no
    English articles, single spaces. `name`: what the metric is called.

    Raises:
        ValueError: for another `normalize`, or with it an option that it makes void.
    """

    def __init__(
        self,
        ignore_case: bool = False,
        ignore_punctuation: bool = False,
        normalize: Literal["squad"] | None = None,
        name: str = "exact_match",
    ) -> None:
        if normalize not in (None, "squad"):
            raise ValueError(f"normalize is {normalize!r}; it is 'squad' or unset")
        if normalize and (ignore_case or ignore_punctuation):
            raise ValueError(
                "normalize 'squad' ignores case and punctuation already; leave ignore_case and "
                "ignore_punctuation out"
            )
        self.name = name
        self.ignore_case = ignore_case
        self.ignore_punctuation = ignore_punctuation
        self.normalize = normalize

    def value(self, text: str, references: Sequence[str]) -> float:
        return float(self._plain(text) in map(self._plain, references))

    def details(self) -> dict[str, Any]:
        return {
            "ignore_case": self.ignore_case,
            "ignore_punctuation": self.ignore_punctuation,
            "normalize": self.normalize,
        }

    def _plain(self, text: str) -> str:
        if self.normalize == "squad":
            return normalized(text)
        if self.ignore_case:
            text = text.casefold()
        if self.ignore_punctuation:
            text = text.translate(_NO_PUNCTUATION)
        return text.strip()
