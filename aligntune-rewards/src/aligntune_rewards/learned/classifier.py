"""Rewards from a sequence-classification model: its logits, and the names of its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aligntune.errors import ConfigError
from aligntune_rewards.learned.inputs import batches, encoded, padded
from aligntune_rewards.learned.model_reward import ModelReward

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from aligntune.scoring import RewardBatch
    from aligntune_rewards.learned.inputs import Form
    from aligntune_rewards.learned.models import Kind, Loaded

__all__ = ["ClassifierReward", "each_by_itself", "labels_of", "listed"]


@dataclass(eq=False, repr=False)
class ClassifierReward(ModelReward):
    """A reward from the logits of a classifier."""

    kind: ClassVar[Kind] = "classifier"

    def logits(self, batch: RewardBatch, form: Form) -> torch.Tensor:
        """Logits of each completion, shape (completions, labels), float32 on the CPU.

        `form`: how prompt and completion are put together, see
        `aligntune_rewards.learned.inputs.encoded`.
        """
        import torch

        loaded = self.loaded
        inputs = encoded(batch, loaded, form, self.longest, self.said_by)
        found = torch.zeros(len(batch), loaded.model.config.num_labels)
        for indices in batches([len(each["input_ids"]) for each in inputs], self.batch_size):
            with torch.no_grad():
                made = loaded.model(**padded([inputs[i] for i in indices], loaded)).logits
            found[indices] = made.float().cpu()
        return found

    def index(self, wanted: str | int, parameter: str, loaded: Loaded) -> int:
        """The place of a label, given by name or number.

        Raises:
            ConfigError: if the model has no such label; lists those it has.
        """
        labels = labels_of(loaded)
        for index, name in enumerate(labels):
            if wanted in (name, index):
                return index
        raise ConfigError(
            f"{self.said_by}: params.{parameter} names {wanted!r}, and the labels of "
            f"{self.model!r} are {listed(labels)}"
        )


def labels_of(loaded: Loaded) -> list[str]:
    """The names of a classifier's labels, in the order of its logits."""
    config = loaded.model.config
    return [str(config.id2label[index]) for index in range(config.num_labels)]


def listed(labels: Sequence[str]) -> str:
    """Labels as a message lists them: `0 safe, 1 unsafe`."""
    return ", ".join(f"{index} {name}" for index, name in enumerate(labels))


def each_by_itself(loaded: Loaded) -> bool:
    """Whether each label has a probability of its own, rather than all of them one to share."""
    config = loaded.model.config
    several: bool = config.problem_type == "multi_label_classification"
    return several or config.num_labels == 1
