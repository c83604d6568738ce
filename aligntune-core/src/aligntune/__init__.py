"""AlignTune: align and fine-tune language models, with algorithms, backends and rewards as plugins.

Importing this package imports nothing else; each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "aligntune.config": (
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
        "SFTConfig",
        "SampleLoggingConfig",
        "TrainingConfig",
        "UnifiedConfig",
        "load_config",
    ),
    "aligntune.core.backend_factory": (
        "BackendConfig",
        "BackendFactory",
        "create_rl_trainer",
        "create_sft_trainer",
    ),
    "aligntune.core.rl.config_loader": ("ConfigLoader",),
    "aligntune.core.sft.config_loader": ("SFTConfigLoader",),
    "aligntune.core.trainer_base": ("RLTrainerBase", "SFTTrainerBase", "TrainerBase"),
    "aligntune.enums": (
        "AlgorithmType",
        "BackendType",
        "PrecisionType",
        "RLAlgorithm",
        "RewardType",
        "TaskType",
        "TrainingType",
    ),
    "aligntune.errors": ("AlignTuneError",),
    "aligntune.evaluation": ("EvalTask", "Evaluator", "Metric", "TaskCategory"),
    "aligntune.hookspecs": ("hookimpl",),
    "aligntune.plan": ("Plan", "make_plan"),
    "aligntune.reward_models": ("TrainedRewardModel", "train_reward_model"),
    "aligntune.run": ("RunDirectory", "write_report"),
    "aligntune.scoring": ("RewardBatch", "RewardFunction", "RewardRegistry"),
    "aligntune.scoring.compose": ("rewards",),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted([*_MODULE, "__version__"])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'aligntune' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
