"""What a preview holds: rows at every stage of their way, token by token, and what is odd about it.

The numbers are those of the trainer that would run: it prepares the rows itself, and is asked what
it would train on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

__all__ = ["Preview", "PreviewRow", "Sequence", "Token"]


@dataclass(frozen=True)
class Token:
    """One token: its text as the tokenizer decodes it, its id, and whether it is trained on."""

    text: str
    id: int
    trained: bool


@dataclass(frozen=True)
class Sequence:
    """One sequence as the model would get it.

    `role`: what it is: `row`, `chosen`, `rejected`, or the `prompt` that is completed.
    `cut`: tokens that do not fit and are cut off.
    `stop_trained`: whether a token that ends a completion is trained on; None where nothing is.
    """

    role: str
    tokens: tuple[Token, ...]
    cut: int = 0
    stop_trained: bool | None = None

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)

    @property
    def trained(self) -> int:
        """How many tokens are trained on."""
        return sum(token.trained for token in self.tokens)

    def spans(self) -> Iterator[tuple[bool, list[Token]]]:
        """Runs of tokens that are all trained on, or all not."""
        for trained, tokens in groupby(self.tokens, key=lambda token: token.trained):
            yield trained, list(tokens)


@dataclass(frozen=True)
class PreviewRow:
    """One row: as read, as the algorithm's contract has it, and as the model gets it.

    `left_out` says why the row would not be trained on; it then has no sequences.
    """

    dataset: str
    index: int
    read: dict[str, Any]
    normalised: dict[str, Any] | None = None
    sequences: tuple[Sequence, ...] = ()
    left_out: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """Some rows in full, and the lengths of more of them.

    `lengths`: tokens per sequence, before anything is cut. `limit`: the most that is kept.
    `stop_tokens`: the tokens at which generation ends.
    """

    algorithm: str
    backend: str
    model: str
    rows: list[PreviewRow]
    lengths: list[int]
    limit: int | None
    stop_tokens: list[str]
    counts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def bins(self, most: int = 10) -> list[tuple[int, int, int]]:
        """A histogram of the lengths: (from, up to, how many), at most `most` bins."""
        if not self.lengths:
            return []
        low, high = min(self.lengths), max(self.lengths)
        width = max(1, -(-(high - low + 1) // most))
        return [
            (start, start + width - 1, sum(start <= n < start + width for n in self.lengths))
            for start in range(low, high + 1, width)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for programs."""
        return asdict(self)
