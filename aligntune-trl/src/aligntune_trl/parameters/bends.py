"""Defaults that bend to the hardware, to what is installed and to what else is set.

A value that somebody set never bends.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from aligntune.enums import PrecisionType
from aligntune_trl import batch

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["BENDS"]


def _precision(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if hardware is None:
        return None
    if hardware.bf16:
        return PrecisionType.BF16, f"{hardware} has bf16"
    return PrecisionType.FP32, f"{hardware.device} without native bf16"


def _no_evaluation(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    return None if config.eval_datasets else ("no", "there is no evaluation data")


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
    return None


def _better(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    metric = config.train.metric_for_best_model
    if metric is None or metric.endswith("loss"):
        return None
    return True, f"{metric} is no loss"


BENDS = (
    ("train.warmup_ratio", _no_ratio),
    ("train.greater_is_better", _better),
    ("model.precision", _precision),
    ("train.eval_strategy", _no_evaluation),
    ("train.load_best_model_at_end", _no_best),
    ("logging.loggers", _loggers),
)
