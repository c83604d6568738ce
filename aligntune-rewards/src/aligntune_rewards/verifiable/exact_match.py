"""Whether the whole completion is the reference, character for character."""

from __future__ import annotations

import re
from typing import Any

from aligntune.scoring import RewardFunction

__all__ = ["ExactMatchReward"]

_SPACE = re.compile(r"\s+")


class ExactMatchReward(RewardFunction):
    """1 if the whole completion is the reference, else 0.

    Nothing is extracted: a completion that explains itself does not match. A reference that is a
    list holds several right texts.

    Range: 0 or 1. Higher is better. Columns: the reference; a row without one is left out (None).

    Args:
        strip: leave out white space at both ends.
        ignore_case: take upper and lower case as equal (Unicode case folding).
        collapse_whitespace: take any run of white space as one space.
    """

    name = "exact_match"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)

    def __init__(
        self, strip: bool = True, ignore_case: bool = False, collapse_whitespace: bool = False
    ) -> None:
        self.strip = strip
        self.ignore_case = ignore_case
        self.collapse_whitespace = collapse_whitespace

    def compute(self, text: str, reference: Any = None) -> float | None:
        accepted = reference if isinstance(reference, list | tuple) else [reference]
        if reference is None or not accepted:
            return None
        return float(self._normalised(text) in {self._normalised(str(each)) for each in accepted})

    def _normalised(self, text: str) -> str:
        if self.collapse_whitespace:
            text = _SPACE.sub(" ", text)
        if self.strip:
            text = text.strip()
        return text.casefold() if self.ignore_case else text
