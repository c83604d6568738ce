"""Where every configuration field goes when Unsloth loads the model; the rest is as on TRL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from aligntune.errors import Problem
from aligntune.plan.parameters import Ours, ParameterTable, Refused, To, Use
from aligntune_trl.parameters import dpo_table, grpo_table, model_uses, ppo_table, sft_table

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = ["BITS", "DPO", "GRPO", "PPO", "SFT"]

BITS = ("load_in_4bit", "load_in_8bit")
_LOADER = "FastLanguageModel.from_pretrained"


def _model_uses() -> dict[str, Use]:
    uses = model_uses(_LOADER)
    for path, use in uses.items():
        if isinstance(use, To) and use.owner == "LoraConfig":
            uses[path] = replace(use, owner="get_peft_model", drop_none=True)
    return uses | {
        "model.device_map": Refused("Unsloth places the model itself"),
        "model.max_memory": Refused("Unsloth places the model itself"),
        "model.quantization": Ours(f"{_LOADER}: load_in_4bit, load_in_8bit"),
        "train.use_liger_kernel": Refused("Unsloth brings kernels of its own"),
        "model.gradient_checkpointing": Ours(f"{_LOADER} and the trainer: gradient checkpointing"),
    }


def _check_length(config: RunConfig) -> Iterable[Problem]:
    if config.model.max_seq_length is None:
        message = "Unsloth loads a model for a longest sequence, and none is set"
        yield Problem("model.max_seq_length", message, hint="set it, in tokens")


def _check_quantization(config: RunConfig) -> Iterable[Problem]:
    for name in config.model.quantization:
        if name not in BITS:
            message = "Unsloth quantizes by settings of its own"
            yield Problem(f"model.quantization.{name}", message, hint=f"use {' or '.join(BITS)}")


def _checked(table: ParameterTable) -> ParameterTable:
    return replace(table, checks=(*table.checks, _check_length, _check_quantization))


SFT = _checked(sft_table(_model_uses()))
DPO = _checked(dpo_table(_model_uses()))
GRPO = _checked(grpo_table(_model_uses()))
PPO = _checked(ppo_table(_model_uses()))
