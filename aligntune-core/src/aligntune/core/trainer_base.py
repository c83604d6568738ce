"""What every trainer can do, whatever its backend. A backend subclasses one of these.

A trainer is made from a plan and loads nothing before `train`, `evaluate`, `predict` or
`save_model` is called, in this order: the tokenizer is loaded, data and rewards are read and
checked, and only then the model loads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import UnavailableError

if TYPE_CHECKING:
    from aligntune.plan import Plan
    from aligntune.preview import Preview
    from aligntune.run import RunDirectory

__all__ = ["RLTrainerBase", "SFTTrainerBase", "TrainerBase"]


class TrainerBase(ABC):
    """A run that has been planned and not yet begun.

    Attributes:
        plan: what the run does, with the origin and destination of every value.
        backend: the loaded backend, an instance of the class that the backend's manifest names.
    """

    def __init__(self, plan: Plan, backend: Any) -> None:
        self.plan = plan
        self.backend = backend

    @property
    def config(self) -> Any:
        """The configuration with the values that the run uses."""
        return self.plan.config

    @abstractmethod
    def train(self, *, resume: bool = False, overwrite: bool = False) -> RunDirectory:
        """Train, evaluate, and leave a complete run directory.

        Args:
            resume: go on from the newest complete checkpoint of the run directory.
            overwrite: replace an earlier run in the run directory.

        Raises:
            AlignTuneError: for whatever the user can mend; the run directory then says so.
        """

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Measure the model as it is on the evaluation data: metric -> value."""

    @abstractmethod
    def predict(self, prompts: Sequence[Any], **generation: Any) -> list[str]:
        """Complete prompts (strings, or lists of chat messages), in order."""

    def preview(self, rows: int = 3, lengths: int = 1000) -> Preview:
        """Rows as read, normalised, rendered and as tokens, before any weight loads.

        Args:
            rows: how many rows of each data set are shown in full.
            lengths: how many rows' lengths are counted.

        Raises:
            UnavailableError: if the backend's trainers cannot say.
            AlignTuneError: as `train` would, for data and tokenizers that do not fit.
        """
        raise UnavailableError(f"{type(self).__name__} has no preview")

    @abstractmethod
    def save_model(self, path: str | Path | None = None) -> str:
        """Save model and tokenizer (default: `model` in the run directory); return the folder."""

    @abstractmethod
    def push_to_hub(self, repo_id: str, *, token: str | None = None, private: bool = False) -> str:
        """Upload model and tokenizer to the hub; return the address."""


class SFTTrainerBase(TrainerBase):
    """Base of supervised trainers."""


class RLTrainerBase(TrainerBase):
    """Base of trainers that learn from rewards or preferences."""
