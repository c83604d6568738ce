"""Defaults that bend to the hardware, to what is installed and to what else is set.

A value that somebody set never bends.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from aligntune.enums import PrecisionType
from aligntune_trl.fields import batch
from aligntune_trl.fields.names import WITHOUT_WARMUP

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware
    from aligntune.plan.parameters import Bend

__all__ = ["BENDS", "data_seed", "lora_dropout_stays", "no_lora_dropout"]


def _precision(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    train = config.train
    for name in ("bf16", "fp16"):
        if getattr(train, name):
            return PrecisionType(name), f"`train.{name}` is true"
    if hardware is None:
        return None
    if hardware.bf16 and "bf16" in train.model_fields_set:
        return PrecisionType.FP32, "`train.bf16` is false"
    if hardware.bf16:
        return PrecisionType.BF16, f"{hardware} has bf16"
    return PrecisionType.FP32, f"{hardware.device} without native bf16"


def _follows(precision: PrecisionType) -> Bend:
    """`train.bf16` and `train.fp16` say what `model.precision` says."""

    def bend(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
        found = config.model.precision
        return (True, f"`model.precision` is {found.value}") if found is precision else None

    return bend


def _attention(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if config.train.use_flash_attention_2:
        return "flash_attention_2", "`train.use_flash_attention_2` is true"
    return None


def lora_dropout_stays(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """A dropout that somebody set is not switched off by a default."""
    model = config.model
    if model.peft_enabled and model.lora_dropout and "lora_dropout" in model.model_fields_set:
        return False, "`model.lora_dropout` is set"
    return None


def no_lora_dropout(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """Without dropout there is none on the adapter either."""
    model = config.model
    if model.disable_dropout and model.lora_dropout:
        return 0.0, "`model.disable_dropout` is true"
    return None


def data_seed(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """Rollouts take prompts in the order of one seed, as TRL's do, unless another was set."""
    seed = config.train.seed
    return None if seed == config.train.data_seed else (seed, "`train.seed`")


def _no_evaluation(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    return None if config.has_evaluation_data else ("no", "there is no evaluation data")


def _no_best(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if config.kind == "rl":
        return None
    return next(((False, p.message) for p in batch.check_checkpoints(config)), None)


def _loggers(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if importlib.util.find_spec("tensorboard") is None:
        return [], "tensorboard is not installed"
    return None


def _no_ratio(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if "warmup_steps" in config.train.model_fields_set:
        return 0.0, "`train.warmup_steps` is set"
    if config.train.lr_scheduler in WITHOUT_WARMUP:
        return 0.0, f"{config.train.lr_scheduler} has no warmup"
    return None


BENDS = (
    ("train.warmup_ratio", _no_ratio),
    ("model.precision", _precision),
    ("train.bf16", _follows(PrecisionType.BF16)),
    ("train.fp16", _follows(PrecisionType.FP16)),
    ("model.attn_implementation", _attention),
    ("train.eval_strategy", _no_evaluation),
    ("train.load_best_model_at_end", _no_best),
    ("logging.loggers", _loggers),
)
