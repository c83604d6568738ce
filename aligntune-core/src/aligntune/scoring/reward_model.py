"""From the reward model that the model section names to an entry of `rewards`.

`model.reward_model_name`, or `model.reward_model_source` in full, with `model.reward_device` and
`model.reward_model_quantization`, is another way to write
`rewards: [{type: reward_model, params: {model: ..., device: ..., quantization: ...}}]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.config import RewardConfig
from aligntune.errors import Problem

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.config.sections import ModelConfig

__all__ = ["REWARD_MODEL", "reward_model_entry", "reward_model_problems"]

REWARD_MODEL = "reward_model"


def reward_model_problems(model: ModelConfig) -> list[Problem]:
    """What is wrong with the reward model that a model section names."""
    source, path = model.reward_model_source, "model.reward_model_source"
    if source is None:
        if model.reward_model_name is not None:
            return []
        return [
            Problem(f"model.{name}", "no reward model is set", hint="set `model.reward_model_name`")
            for name in ("reward_device", "reward_model_quantization")
            if name in model.model_fields_set and getattr(model, name) not in ("auto", {})
        ]
    if source.source_type == "custom_trained" or source.fine_tune_with_rewards:
        return [
            Problem(
                path,
                "a run does not train its reward model",
                hint="train it before, and name its folder: {source_type: pretrained_local, "
                "model_path: ...}",
            )
        ]
    named = source.model_name or source.model_path
    if source.training_config is not None:
        message = f"{source.source_type!r} is trained already, and would not use it"
        return [Problem(f"{path}.training_config", message, hint="leave it out")]
    if model.reward_model_name not in (None, named):
        message = f"it names {named!r}, and `model.reward_model_name` {model.reward_model_name!r}"
        return [Problem(path, message, hint="keep one of them")]
    return []


def reward_model_entry(config: RunConfig) -> RewardConfig | None:
    """The entry that the model section adds to `rewards`; None if it asks for none, or it is there.

    A resolved configuration holds both, so an entry of the same parameters is not added again.
    """
    model, source = config.model, config.model.reward_model_source
    named = model.reward_model_name
    if source is not None:
        named = source.model_name or source.model_path
    if named is None:
        return None
    params: dict[str, Any] = {"model": named}
    if model.reward_device != "auto":
        params["device"] = model.reward_device
    if model.reward_model_quantization:
        params["quantization"] = dict(model.reward_model_quantization)
    if any(entry.type == REWARD_MODEL and entry.params == params for entry in config.rewards):
        return None
    return RewardConfig(type=REWARD_MODEL, params=params)
