"""Where every configuration field goes when Unsloth loads the model; the rest is as on TRL.

The table of an algorithm is an attribute in capitals, as in `aligntune_trl.parameters`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from aligntune.errors import Problem
from aligntune.plan.parameters import Ours, ParameterTable, Refused, To, Use
from aligntune_trl.parameters import model_uses, tables

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["BITS"]

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


def _check_bits(config: RunConfig, hardware: Hardware) -> Iterable[Problem]:
    if config.model.quantization.get("load_in_8bit") and hardware.device == "cpu":
        message = "on a CPU, Unsloth loads whole weights where 8 bits are asked for"
        yield Problem("model.quantization", message, hint="use `{load_in_4bit: true}`")


def _checked(table: ParameterTable) -> ParameterTable:
    checks = (*table.checks, _check_length, _check_quantization)
    return replace(table, checks=checks, here=(*table.here, _check_bits))


@cache
def _on_unsloth() -> dict[str, ParameterTable]:
    return {name: _checked(table) for name, table in tables(_model_uses).items()}


def __getattr__(name: str) -> ParameterTable:
    found = _on_unsloth().get(name.lower()) if name.isupper() else None
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
