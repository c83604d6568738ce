"""What the rewards by sacrebleu share: one object of it that scores sentences, from any thread."""

from __future__ import annotations

import threading
from abc import abstractmethod
from functools import cached_property
from typing import Any

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import need
from aligntune_rewards.reference.references import reference_texts

__all__ = ["SentenceScore"]

# sacrebleu notes the number of references in the object that scores.
_SCORING = threading.Lock()


class SentenceScore(RewardFunction):
    """A metric of sacrebleu on single completions, divided by 100.

    Attributes:
        signature: what sacrebleu says of how it scores.
    """

    requires = frozenset({"reference"})
    range = (0.0, 1.0)

    @abstractmethod
    def make(self) -> Any:
        """The object of sacrebleu, made with the parameters of the reward."""

    @cached_property
    def metric(self) -> Any:
        """The object of sacrebleu that scores; it can score a corpus too."""
        need("sacrebleu", "reference", f"reward {self.name!r}")
        return self.make()

    @property
    def signature(self) -> str:
        """How sacrebleu scores; the number of references is that of the last row."""
        with _SCORING:
            if not hasattr(self.metric, "num_refs"):
                self.metric.sentence_score("", [""])
            return str(self.metric.get_signature())

    def load(self) -> None:
        """Import sacrebleu.

        Raises:
            UnavailableError: if it is not installed.
        """
        _ = self.metric

    def compute(self, text: str, reference: Any = None) -> float | None:
        if not (references := reference_texts(reference)):
            return None
        with _SCORING:
            score = self.metric.sentence_score(text, references).score
        return min(1.0, float(score) / 100.0)
