"""Rewards that count what completions did wrong in a way that leaves nothing to judge.

Such a completion earns the lowest value of the reward's range. How often that happened, and why, is
in `failures`, and what a batch added to it is logged once.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from aligntune.scoring import RewardBatch, RewardFunction

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CountedReward"]

logger = logging.getLogger("aligntune")


class CountedReward(RewardFunction):
    """A reward with `failures`: why completions earned the lowest value without being judged.

    `quiet`: kinds of failure that are ordinary in an untrained model, and logged at level DEBUG.
    """

    quiet: frozenset[str] = frozenset({"no answer", "hedged"})

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()

    def fail(self, kind: str) -> float:
        """Count a failure of the completion; returns the lowest value."""
        self.failures[kind] += 1
        return self.range[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        before = self.failures.copy()
        values = super().compute_batch(batch)
        if new := self.failures - before:
            loud = new.keys() - self.quiet
            logger.log(
                logging.WARNING if loud else logging.DEBUG,
                "reward %s: of %d completions %s",
                self.label,
                len(batch),
                ", ".join(f"{count} {kind}" for kind, count in sorted(new.items())),
            )
        return values
