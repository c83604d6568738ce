"""What became of the rows of a data set: counted, with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["DataReport"]


@dataclass
class DataReport:
    """What became of the rows of one data set; of a stream, of those that were reached."""

    name: str
    read: int
    kept: int
    shape: str
    why: str
    left_out: dict[str, int] = field(default_factory=dict)
    """How many rows are not trained on, by the reason."""
    cut: dict[str, int] = field(default_factory=dict)
    """From how many of the rows that were kept something was taken out, by what it was."""
    held_out: int = 0
    """How many of the rows that were kept are evaluated on instead of trained on."""
    drawn: int | None = None
    """How many rows were drawn by weight, repeats counted; None where none was drawn."""

    def count_left_out(self, reason: str) -> None:
        """Count a row that is not trained on."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def count_kept(self, cut: Iterable[str]) -> None:
        """Count a row that is kept, and what was taken out of it."""
        self.kept += 1
        for what in cut:
            self.cut[what] = self.cut.get(what, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        text = f"{self.name}: {self.kept} of {self.read} rows ({self.why})"
        for reason, count in self.left_out.items():
            text += f"; left out {count}: {reason}"
        for what, count in self.cut.items():
            text += f"; taken out of {count}: {what}"
        if self.held_out:
            text += f"; held out {self.held_out} to evaluate on"
        if self.drawn is not None:
            text += f"; drawn by weight {self.drawn}"
        return text
