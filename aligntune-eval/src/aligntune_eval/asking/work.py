"""What an evaluation asked of its model: names of pieces of work, and how long they took.

A piece of work is named by what the model is asked, never by the number of a row, so that a store
gives it back to an evaluation of the same rows in another order.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation import EvaluationContext

__all__ = ["Work", "digest", "work_of"]


@dataclass
class Work:
    """Counts of one kind of work, generation or scoring.

    `seconds`: spent in the model and the tokenizer, as measured when the work was done. `read`:
    tokens that the model read. `written`: tokens that it generated. `items`: completions, or
    sequences scored. `stored`: those of them that came from the store, with the seconds that they
    took when they were made.
    """

    seconds: float = 0.0
    read: int = 0
    written: int = 0
    items: int = 0
    stored: int = 0

    def add(self, seconds: float, read: int, written: int = 0, *, stored: bool = False) -> None:
        """Count one item."""
        self.seconds += seconds
        self.read += read
        self.written += written
        self.items += 1
        self.stored += stored


def work_of(context: EvaluationContext, kind: str) -> Work:
    """The counts of a kind of work (`"generation"` or `"scoring"`) in this context."""
    counts: Work = context.memo.setdefault(("aligntune_eval.asking.work", kind), Work())
    return counts


def digest(kind: str, ids: Sequence[int], *more: object) -> str:
    """A name for a piece of work on the tokens `ids`."""
    hashed = hashlib.sha256(array("q", ids).tobytes())
    hashed.update(repr(more).encode())
    return f"{kind}/{hashed.hexdigest()}"
