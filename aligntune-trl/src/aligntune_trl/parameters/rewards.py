"""The reward model of the model section, for algorithms that score completions with rewards."""

from __future__ import annotations

from aligntune.plan.parameters import Ours, Refused, Use

__all__ = ["REWARD_USES"]

_ENTRY = Ours("an entry of `rewards`: reward_model")
_TRAINED_BEFORE = Refused("a run does not train its reward model")

REWARD_USES: dict[str, Use] = {
    "model.reward_model_name": _ENTRY,
    "model.reward_model_source": _ENTRY,
    "model.reward_model_source.*": _ENTRY,
    "model.reward_model_source.fine_tune_with_rewards": _TRAINED_BEFORE,
    "model.reward_model_source.training_config": _TRAINED_BEFORE,
    "model.reward_model_source.training_config.*": _TRAINED_BEFORE,
    "model.reward_model_quantization": _ENTRY,
    "model.reward_device": _ENTRY,
    "train.reward_weights": Ours("the weights of `rewards`"),
}
