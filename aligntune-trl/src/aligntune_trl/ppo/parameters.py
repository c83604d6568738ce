"""Where every field goes in proximal policy optimization, on what TRL's GRPOTrainer is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aligntune.enums import PrecisionType
from aligntune.errors import Problem
from aligntune.plan.parameters import Ours, ParameterTable, Refused, To, Use, When
from aligntune_trl.fields import batch, checking, contradictions
from aligntune_trl.fields.bends import BENDS, data_seed, lora_dropout_stays, no_lora_dropout
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.grpo.parameters import grpo_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["ppo_table"]

COMPLETIONS = 8  # of a rollout, where nothing says how many
TARGET_KL = 6.0  # nats per completion (Ziegler et al. 2019, section 3.1)
_ADAPTIVE = When("train.adap_kl_ctrl", (True,))


def ppo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of PPO, given the fields of the model section."""
    return grpo_uses(model) | {
        "model.disable_dropout": To("disable_dropout", "GRPOConfig"),
        "model.reward_value_model": Ours(
            "the critic: AutoModelForTokenClassification with 1 label"
        ),
        "model.reward_value_loading_type": Ours("how the critic is loaded: by transformers"),
        "train.kl_coef": Ours("the price of the KL divergence in a token's reward"),
        "train.kl_estimator": Ours("the estimate of that divergence"),
        "train.adap_kl_ctrl": Ours("whether the KL coefficient follows `target_kl`"),
        "train.init_kl_coef": Ours("the first KL coefficient", when=_ADAPTIVE),
        "train.target_kl": Ours("ends the updates of a rollout, or steers the KL coefficient"),
        "train.rollout_batch_size": Ours("GRPOConfig.generation_batch_size: completions at once"),
        "train.cliprange_value": Ours("the value loss"),
        "train.vf_coef": Ours("the weight of the value loss"),
        "train.ent_coef": Ours("the weight of the entropy in the loss"),
        "train.gamma": Ours("generalized advantage estimation"),
        "train.lam": Ours("generalized advantage estimation"),
        "train.whiten_rewards": Ours("the rewards of a rollout's tokens, scaled to variance 1"),
        "train.stop_token": Ours("where completions end"),
        "train.missing_eos_penalty": Ours("taken from the score of completions that do not end"),
        "train.loss_type": Refused("PPO has one loss: clipped surrogate and clipped value loss"),
        "train.num_generations": Refused("PPO needs one completion for each prompt: no groups"),
        "train.scale_rewards": Refused("PPO has no groups; see `train.whiten_rewards`"),
        "train.group_by_length": Refused("minibatches are drawn from a rollout"),
    }


def _default_batch(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if {"gradient_accumulation_steps", "rollout_batch_size"} & config.train.model_fields_set:
        return None
    return COMPLETIONS, f"a rollout of {COMPLETIONS} completions"


def _default_target(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if not config.train.adap_kl_ctrl:
        return None
    return TARGET_KL, "nats per completion (Ziegler et al. 2019)"


def _check_kl(config: RunConfig) -> Iterable[Problem]:
    train = config.train
    if train.adap_kl_ctrl:
        if train.init_kl_coef is not None and "kl_coef" in train.model_fields_set:
            message = "`train.adap_kl_ctrl` starts from `train.init_kl_coef`, which is set too"
            yield Problem("train.kl_coef", message, hint="keep one of them")
        first = train.kl_coef if train.init_kl_coef is None else train.init_kl_coef
        if first == 0:
            path = "train.kl_coef" if train.init_kl_coef is None else "train.init_kl_coef"
            message = "`train.adap_kl_ctrl` multiplies it, and 0 stays 0"
            yield Problem(path, message, hint="use a small one, such as 0.05")
    elif train.kl_coef == 0 and "kl_estimator" in train.model_fields_set:
        message = f"{train.kl_estimator!r}, and `train.kl_coef` is 0"
        yield Problem("train.kl_estimator", message, hint="set `train.kl_coef`")
    if train.target_kl and not train.adap_kl_ctrl and config.model.precision is PrecisionType.FP16:
        message = "updates that are left out and the gradient scaler of fp16 do not go together"
        yield Problem("train.target_kl", message, hint="use bf16, or leave it unset")


def _check_value_model(config: RunConfig) -> Iterable[Problem]:
    model = config.model
    if model.reward_value_loading_type == "unsloth":
        yield Problem(
            "model.reward_value_loading_type",
            "the value model is loaded by transformers on every backend",
            hint="use `standard`",
        )
    elif model.reward_value_loading_type and model.reward_value_model is None:
        message = "there is no value model: the critic is a head on the policy"
        hint = "set `model.reward_value_model`"
        yield Problem("model.reward_value_loading_type", message, hint=hint)


def _check_value_loss(config: RunConfig) -> Iterable[Problem]:
    train = config.train
    default = type(train).model_fields["cliprange_value"].default
    if not train.vf_coef and train.cliprange_value != default:
        message = "the value loss does not count: `train.vf_coef` is 0"
        yield Problem("train.cliprange_value", message, hint="leave it out")


def _check_stop_token(config: RunConfig) -> Iterable[Problem]:
    if config.train.stop_token is None:
        message = "a completion ends at a token, and none is named"
        yield Problem("train.stop_token", message, hint="`eos` is the tokenizer's own")


def ppo_lines(config: RunConfig) -> list[str]:
    """The batch arithmetic of a PPO run, in words."""
    train = config.train
    rollout = batch.prompts_per_generation(config)
    step = train.per_device_batch_size * train.gradient_accumulation_steps
    updates = rollout * (train.num_ppo_epochs or 1) / step
    critic = train.vf_coef and (config.model.reward_value_model or "a value head on the policy")
    return [
        f"a rollout is {rollout} completions, one for each prompt",
        f"an update takes {step} completions; a rollout serves {updates:g} of them",
        f"the critic is {critic}" if critic else "the critic learns nothing: `vf_coef` is 0",
        batch.length_line(config),
    ]


PPO_BENDS = (
    ("train.data_seed", data_seed),
    ("train.per_device_batch_size", _default_batch),
    ("model.disable_dropout", lora_dropout_stays),
    ("model.lora_dropout", no_lora_dropout),
    ("train.save_interval", batch.default_save_interval),
    ("train.target_kl", _default_target),
    *BENDS,
)
PPO_CHECKS = (
    *checking.checks(),
    batch.check_rollout,
    batch.check_lengths,
    batch.check_resumable,
    batch.check_checkpoints,
    batch.check_processes,
    _check_kl,
    _check_value_model,
    _check_value_loss,
    _check_stop_token,
    contradictions.check_reference,
    contradictions.check_adapter_reference,
)


def ppo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of PPO, given the fields of the model section."""
    return ParameterTable(ppo_uses(model), PPO_BENDS, PPO_CHECKS, ppo_lines, (check_machine,))
