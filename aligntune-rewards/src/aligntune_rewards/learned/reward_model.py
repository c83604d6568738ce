"""A trained reward model as a reward, and helpfulness as such a model judges it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from aligntune.errors import ConfigError
from aligntune_rewards.learned.classifier import ClassifierReward, labels_of, listed
from aligntune_rewards.learned.inputs import Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from aligntune.scoring import RewardBatch
    from aligntune_rewards.learned.models import Loaded

__all__ = ["HelpfulnessReward", "RewardModelReward"]


@dataclass(eq=False, repr=False)
class RewardModelReward(ClassifierReward):
    """The raw logit that a sequence-classification model gives a completion with its prompt.

    Any reward model in the format of transformers will do: what TRL's `RewardTrainer` saves, or one
    from the hub. What is longer than `max_length` loses its beginning, which the log counts.

    Range: any number. Higher is better. Columns: none; the prompt is read.
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        target_label: the label whose logit counts, by name or number, where there are several.
        inputs: `"chat"` puts prompt and completion through the chat template of the model's own
            tokenizer, `"pair"` gives them as a text pair, `"concat"` as one text, `"text"` as one
            text with the end-of-sequence token, `"completion"` leaves the prompt out; `"auto"` is
            what AlignTune trained the model on, else chat where there is a template, else pair.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.

    Raises:
        ConfigError: when the model is loaded, if it is no trained classifier, or has several labels
            and `target_label` is none of them.
    """

    target_label: str | int | None = None
    inputs: Form = "auto"

    name = "reward_model"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inputs not in get_args(Form):
            forms = ", ".join(get_args(Form))
            raise ValueError(f"inputs is {self.inputs!r}; it is one of {forms}")

    def check(self, loaded: Loaded) -> None:
        if self.inputs == "chat" and loaded.tokenizer.chat_template is None:
            raise ConfigError(
                f"{self.said_by}: params.inputs is 'chat', and the tokenizer of {self.model!r} has "
                "no chat template; set it to pair, concat or completion"
            )
        labels = labels_of(loaded)
        if self.target_label is not None:
            self.index(self.target_label, "target_label", loaded)
        elif len(labels) > 1:
            raise ConfigError(
                f"{self.said_by}: the labels of {self.model!r} are {listed(labels)}; set "
                "params.target_label to the one whose logit is the reward"
            )

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        values: list[float] = self.values(batch).tolist()
        return values

    def values(self, batch: RewardBatch) -> torch.Tensor:
        """The logit that counts, shape (completions,)."""
        index = (
            0
            if self.target_label is None
            else self.index(self.target_label, "target_label", self.loaded)
        )
        return self.logits(batch, self.inputs)[:, index]


@dataclass(eq=False, repr=False)
class HelpfulnessReward(RewardModelReward):
    """How much a reward model that was trained on human preferences likes the completion.

    sigmoid(logit): the chance, under the Bradley-Terry model that reward models are trained with,
    that the completion is preferred to one with the logit 0. The default model is
    OpenAssistant/reward-model-deberta-v3-large-v2 (English, 435 million parameters, 512 tokens).

    Range: 0 to 1. Higher is better. Columns: none; the prompt is read.
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: another reward model: a local folder, or the name of a model on the hub.

    The other parameters are those of `reward_model`.
    """

    model: str = "OpenAssistant/reward-model-deberta-v3-large-v2"

    name = "helpfulness"
    range = (0.0, 1.0)

    def values(self, batch: RewardBatch) -> torch.Tensor:
        return super().values(batch).sigmoid()
