"""The reward model of the model section, for algorithms that score completions with rewards."""

from __future__ import annotations

from aligntune.plan.parameters import Ours, Use

__all__ = ["REWARD_USES"]

_ENTRY = Ours("an entry of `rewards`: reward_model")
_TRAINED = Ours("aligntune.reward_models: the reward model is trained before the policy loads")

REWARD_USES: dict[str, Use] = {
    "model.reward_model_name": _ENTRY,
    "model.reward_model_source": _ENTRY,
    "model.reward_model_source.*": _ENTRY,
    "model.reward_model_source.fine_tune_with_rewards": _TRAINED,
    "model.reward_model_source.training_config": _TRAINED,
    "model.reward_model_source.training_config.*": _TRAINED,
    "model.reward_model_quantization": _ENTRY,
    "model.reward_device": _ENTRY,
    "train.reward_weights": Ours("the weights of `rewards`"),
}
