"""Formality, as a classifier of sentences sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from aligntune.errors import ConfigError
from aligntune_rewards.learned.classifier import labels_of, listed
from aligntune_rewards.learned.sentencewise import SentencewiseReward

if TYPE_CHECKING:
    from aligntune.scoring import RewardBatch
    from aligntune_rewards.learned.models import Loaded

__all__ = ["FormalityReward"]

_DEFAULT = "s-nlp/xlmr_formality_classifier"


@dataclass(eq=False, repr=False)
class FormalityReward(SentencewiseReward):
    """P(formal), by a classifier: the mean over the different sentences, weighted by their words.

    The default model is s-nlp/xlmr_formality_classifier (English, French, Italian and Portuguese;
    278 million parameters; OpenRAIL++ licence, trained on XFORMAL; Dementieva et al. 2023,
    "Detecting Text Formality"), which was trained on sentences and calls its labels by numbers:
    0 is formal. A text without words earns 0.

    There is no lexical version: the formula of Heylighen & Dewaele counts parts of speech, which
    takes a model too.

    Range: 0 to 1. Higher is better. Columns: none.
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: a classifier: a local folder, or the name of a model on the hub.
        formal: name or number of the label that means formal; unset, the one called formal.
        target: `"formal"`, or `"informal"` for 1 - P(formal).

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.

    Raises:
        ValueError: for another target.
        ConfigError: in `load`, if nothing says which label means formal.
    """

    model: str = _DEFAULT
    formal: str | int | None = None
    target: Literal["formal", "informal"] = "formal"

    name = "formality"
    range = (0.0, 1.0)
    pinned: ClassVar[Mapping[str, str]] = {_DEFAULT: "d8336084562d7755d9a3e2d5f5d88b9778c6ef7b"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target not in ("formal", "informal"):
            raise ValueError(f"target is {self.target!r}; it is formal or informal")

    def check(self, loaded: Loaded) -> None:
        self._formal(loaded)

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        index = self._formal(self.loaded)
        values = []
        for found in self.by_sentence(batch.texts):
            if not found:
                values.append(0.0)
                continue
            total = sum(weight for _, weight in found)
            share = sum(shares[index] * weight for shares, weight in found) / total
            values.append(share if self.target == "formal" else 1.0 - share)
        return values

    def _formal(self, loaded: Loaded) -> int:
        """The place of the label that means formal."""
        if self.formal is not None:
            return self.index(self.formal, "formal", loaded)
        if self.model == _DEFAULT:
            return 0
        labels = labels_of(loaded)
        for index, name in enumerate(labels):
            if name.casefold() == "formal":
                return index
        raise ConfigError(
            f"{self.said_by}: the labels of {self.model!r} are {listed(labels)}; set params.formal "
            "to the one that means formal"
        )
