"""The configuration of a run: its schema, and the roads that lead to it."""

from __future__ import annotations

from aligntune.config.loader import load_config
from aligntune.config.run_config import RunConfig, SFTConfig, UnifiedConfig
from aligntune.config.section import Section
from aligntune.config.sections import (
    DatasetConfig,
    DistributedConfig,
    EvaluationConfig,
    EvaluatorConfig,
    LoggingConfig,
    MetaESConfig,
    ModelConfig,
    PluginsConfig,
    RewardConfig,
    RewardModelSourceConfig,
    RewardModelTrainingConfig,
    SampleLoggingConfig,
    TrainingConfig,
)

__all__ = [
    "DatasetConfig",
    "DistributedConfig",
    "EvaluationConfig",
    "EvaluatorConfig",
    "LoggingConfig",
    "MetaESConfig",
    "ModelConfig",
    "PluginsConfig",
    "RewardConfig",
    "RewardModelSourceConfig",
    "RewardModelTrainingConfig",
    "RunConfig",
    "SFTConfig",
    "SampleLoggingConfig",
    "Section",
    "TrainingConfig",
    "UnifiedConfig",
    "load_config",
]
