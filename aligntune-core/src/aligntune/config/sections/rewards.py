"""Rewards, and where a reward model comes from."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from aligntune.config.section import Section, setting
from aligntune.enums import RewardType

__all__ = ["RewardConfig", "RewardModelSourceConfig", "RewardModelTrainingConfig"]


class RewardConfig(Section):
    """One reward function and its weight in the sum."""

    type: str = setting(..., aliases=("reward_type",), min_length=1)
    """Name of a registered reward, or `custom`."""
    weight: float = setting(1.0, allow_inf_nan=False)
    """Factor in the weighted sum; applied exactly once."""
    params: dict[str, Any] = setting({})
    """Parameters of the reward; for `custom`, `reward_function` is the function or its name."""
    clip: float | tuple[float, float] | None = setting(None)
    """Limit the value to [-clip, clip], or to [low, high]."""
    normalize: bool | Literal["batch", "group", "range"] = setting(False)
    """Shift and scale the value: true by its running mean and standard deviation; `batch` or
    `group` by those of the batch or of the completions of one prompt; `range` to [0, 1]."""
    model_name: str | None = setting(None)
    """Model of a reward that uses one; the same as `params.model`."""
    device: str = setting("auto", min_length=1)
    """Device of that model; the same as `params.device`."""
    cache_dir: str | None = setting(None)
    """Folder that keeps that model's files; the same as `params.cache_dir`."""
    timeout: float | None = setting(None, gt=0, allow_inf_nan=False)
    """Seconds that one completion may take; a reward without such a limit of its own then works in
    processes that are killed. What takes longer earns the lowest value."""
    shield: bool = setting(False)
    """A veto: a value below `params.shield_threshold` caps the total at `params.shield_value`."""

    @field_validator("type", mode="before")
    @classmethod
    def _name(cls, value: object) -> object:
        return value.value if isinstance(value, RewardType) else value


class RewardModelTrainingConfig(Section):
    """How a reward model is trained from texts that reward functions score."""

    base_model_name: str = setting(..., min_length=1)
    """Model that the reward model starts from."""
    training_texts: list[str] = setting(..., min_length=10)
    """Texts to learn from, at least 10."""
    reward_functions: list[str] = setting(..., min_length=1)
    """Registered rewards that score them."""
    output_dir: str = setting(..., min_length=1)
    """Folder of the reward model."""
    reference_texts: list[str] | None = setting(None)
    """One reference per text, for rewards that compare with one."""
    reward_weights: list[float] | None = setting(None)
    """Weights of the rewards, in their order; unset, 1 each."""
    num_epochs: int = setting(3, ge=1)
    """Passes over the texts."""
    learning_rate: float = setting(1e-5, ge=0)
    """Peak learning rate."""
    batch_size: int = setting(8, ge=1)
    """Texts per forward pass."""
    gradient_accumulation_steps: int = setting(4, ge=1)
    """Forward passes whose gradients are summed into one step."""
    max_length: int = setting(512, ge=1)
    """Longest text, in tokens."""

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        texts, names = len(self.training_texts), len(self.reward_functions)
        if self.reference_texts is not None and len(self.reference_texts) != texts:
            raise ValueError(f"{len(self.reference_texts)} reference_texts for {texts} texts")
        if self.reward_weights is not None and len(self.reward_weights) != names:
            raise ValueError(f"{len(self.reward_weights)} reward_weights for {names} rewards")
        return self


class RewardModelSourceConfig(Section):
    """Where a reward model comes from: the hub, a folder, or training within the run."""

    source_type: Literal["pretrained_hf", "pretrained_local", "custom_trained"] = setting(...)
    """Which of the three."""
    model_name: str | None = setting(None, min_length=1)
    """Hub name, for `pretrained_hf`."""
    model_path: str | None = setting(None, min_length=1)
    """Folder, for `pretrained_local`."""
    training_config: RewardModelTrainingConfig | None = None
    """How it is trained, for `custom_trained`; or fine-tuned, with `fine_tune_with_rewards`."""
    fine_tune_with_rewards: bool = setting(False)
    """Train a pretrained model further on texts that reward functions score."""

    @model_validator(mode="after")
    def _what_the_source_needs(self) -> Self:
        needs = {
            "pretrained_hf": "model_name",
            "pretrained_local": "model_path",
            "custom_trained": "training_config",
        }
        needed = needs[self.source_type]
        if getattr(self, needed) is None:
            raise ValueError(f"source_type {self.source_type!r} needs `{needed}`")
        for other in {"model_name", "model_path"} - {needed}:
            if getattr(self, other) is not None:
                raise ValueError(f"source_type {self.source_type!r} does not use `{other}`")
        if self.fine_tune_with_rewards and self.training_config is None:
            raise ValueError("fine_tune_with_rewards needs `training_config`")
        return self
