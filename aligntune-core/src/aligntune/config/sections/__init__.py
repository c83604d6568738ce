"""The sections of a configuration: model, data sets, training, rewards, evaluation, logging, ..."""

from __future__ import annotations

from aligntune.config.sections.dataset import DatasetConfig
from aligntune.config.sections.evaluation import EvaluationConfig, EvaluatorConfig
from aligntune.config.sections.logging import LoggingConfig, SampleLoggingConfig
from aligntune.config.sections.meta_es import MetaESConfig
from aligntune.config.sections.model import ModelConfig
from aligntune.config.sections.process import DistributedConfig, PluginsConfig
from aligntune.config.sections.rewards import (
    RewardConfig,
    RewardModelSourceConfig,
    RewardModelTrainingConfig,
)
from aligntune.config.sections.training import TrainingConfig

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
    "SampleLoggingConfig",
    "TrainingConfig",
]
