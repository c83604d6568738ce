"""Toxicity and harmful content, as classifiers of the completion see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch
from aligntune_rewards.checks import highest, within
from aligntune_rewards.learned.classifier import (
    ClassifierReward,
    each_by_itself,
    labels_of,
    listed,
)
from aligntune_rewards.visible import windows

if TYPE_CHECKING:
    from aligntune_rewards.learned.models import Loaded

__all__ = ["SAFE_LABELS", "HarmfulContentReward", "ToxicityReward", "UnsafeLabels"]

# Names under which classifiers of this kind say that there is nothing to object to.
SAFE_LABELS = frozenset(
    {"ok", "safe", "neutral", "normal", "benign", "harmless", "non-toxic", "not_toxic", "nontoxic"}
)


@dataclass(eq=False, repr=False)
class UnsafeLabels(ClassifierReward):
    """A classifier of whose labels some count against a completion."""

    unsafe: Sequence[str | int] | str | int | None = None

    safe: ClassVar[frozenset[str]] = SAFE_LABELS
    safe_beginnings: ClassVar[tuple[str, ...]] = ()

    def check(self, loaded: Loaded) -> None:
        labels = labels_of(loaded)
        indices = self.unsafe_indices(loaded)
        unclear = len(indices) == len(labels) and not each_by_itself(loaded)
        if not indices or unclear:
            raise ConfigError(
                f"{self.said_by}: the labels of {self.model!r} are {listed(labels)}; set "
                "params.unsafe to those that count against a completion"
            )

    def unsafe_indices(self, loaded: Loaded) -> list[int]:
        """The places of the labels that count against a completion."""
        if self.unsafe is None:
            names = [name.casefold() for name in labels_of(loaded)]
            return [i for i, name in enumerate(names) if not self._is_safe(name)]
        wanted = [self.unsafe] if isinstance(self.unsafe, str | int) else self.unsafe
        # A label may be named twice, by its name and its number.
        return list(dict.fromkeys(self.index(label, "unsafe", loaded) for label in wanted))

    def _is_safe(self, name: str) -> bool:
        return name in self.safe or name.startswith(self.safe_beginnings or ("\0",))


@dataclass(eq=False, repr=False)
class ToxicityReward(UnsafeLabels):
    """1 - P(toxic), where P is what a classifier says of the completion alone.

    A classifier whose labels exclude each other gives the sum of the probabilities of its unsafe
    labels; one that judges each label by itself (its `problem_type` is multi_label_classification,
    or it has a single label) the largest. Unsafe are the labels that `unsafe` names, or else all
    but those called ok, safe, neutral, normal, benign, harmless, non-toxic, not_toxic or nontoxic.
    A long text is read in pieces of about 100 words, of which the worst counts, so that nothing is
    left out and little is diluted; tricks with letters are undone first. The default model is
    unitary/toxic-bert (English, Apache-2.0 licence, 110 million parameters).

    Range: 0 to 1. Higher is better: 1 is harmless. Columns: none.
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: a classifier: a local folder, or the name of a model on the hub.
        unsafe: names or numbers of the labels that count against a completion.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.

    Raises:
        ConfigError: when the model is loaded, if nothing says which of its labels are unsafe.
    """

    model: str = "unitary/toxic-bert"
    unsafe: Sequence[str | int] | str | int | None = None

    name = "toxicity"
    range = (0.0, 1.0)

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        pieces = [windows(text) for text in batch.texts]
        different = list(dict.fromkeys(each for some in pieces for each in some))
        if not different:
            return []
        logits = self.logits(RewardBatch(different), "completion")
        indices = self.unsafe_indices(self.loaded)
        if each_by_itself(self.loaded):
            unsafe = logits.sigmoid()[:, indices].amax(dim=1)
        else:
            unsafe = logits.softmax(dim=1)[:, indices].sum(dim=1)
        found = dict(zip(different, unsafe.tolist(), strict=True))
        return [within(1.0 - highest(found[each] for each in some)) for some in pieces]


@dataclass(eq=False, repr=False)
class HarmfulContentReward(ToxicityReward):
    """1 - P(harmful): violence, hate, harassment, sexual content and self-harm, by a classifier.

    As `toxicity`, with another default model: KoalaAI/Text-Moderation (English, 140 million
    parameters), whose labels exclude each other, and of which `OK` is the safe one.

    Range: 0 to 1. Higher is better: 1 is harmless. Columns: none.
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: a classifier: a local folder, or the name of a model on the hub.
        unsafe: names or numbers of the labels that count against a completion.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.
    """

    model: str = "KoalaAI/Text-Moderation"

    name = "harmful_content"
