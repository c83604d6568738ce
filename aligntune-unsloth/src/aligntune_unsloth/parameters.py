"""Where every configuration field goes when Unsloth loads the model; the rest is as on TRL."""

from __future__ import annotations

from dataclasses import replace

from aligntune.plan.parameters import Ours, Refused, To, Use
from aligntune_trl.parameters import grpo_table, model_uses, sft_table

__all__ = ["GRPO", "SFT"]

_LOADER = "FastLanguageModel.from_pretrained"


def _model_uses() -> dict[str, Use]:
    uses = model_uses(_LOADER)
    for path, use in uses.items():
        if isinstance(use, To) and use.owner == "LoraConfig":
            uses[path] = replace(use, owner="get_peft_model", drop_none=True)
    return uses | {
        "model.device_map": Refused("Unsloth places the model itself"),
        "model.max_memory": Refused("Unsloth places the model itself"),
        "model.gradient_checkpointing": Ours(f"{_LOADER} and the trainer: gradient checkpointing"),
    }


SFT = sft_table(_model_uses())
GRPO = grpo_table(_model_uses())
