"""From a configuration in any form to a trainer: the front door for Python users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligntune.config import RunConfig
from aligntune.config.assemble import Setting, collect
from aligntune.config.loader import Kind
from aligntune.config.problems import shown
from aligntune.core.trainer_base import TrainerBase
from aligntune.enums import BackendType, TrainingType
from aligntune.errors import ConfigError, Problem
from aligntune.hardware import Hardware
from aligntune.plan import Plan, load_plan

__all__ = ["BackendConfig", "BackendFactory", "create_rl_trainer", "create_sft_trainer"]

Config = str | Path | Mapping[str, Any] | RunConfig | None


@dataclass(frozen=True)
class BackendConfig:
    """Which trainer to make for a configuration: training type, backend and algorithm."""

    training_type: TrainingType | str
    backend: BackendType | str = BackendType.AUTO
    algorithm: str | None = None

    @property
    def kind(self) -> Kind:
        """Which kind of configuration the trainer reads.

        Raises:
            ConfigError: if `training_type` is neither of the two.
        """
        try:
            return TrainingType(self.training_type).value
        except ValueError:
            problem = Problem(
                "training_type", "expected sft or rl", given=shown(self.training_type)
            )
            raise ConfigError(problem) from None

    def settings(self) -> list[Setting]:
        """The settings this makes on top of a configuration."""
        given = {"backend": self.backend}
        if self.algorithm is not None:
            given["algorithm"] = self.algorithm
        return collect(given, "BackendConfig")


class BackendFactory:
    """Makes trainers."""

    @staticmethod
    def plan(config: Config, backend_config: BackendConfig) -> Plan:
        """The plan of the run that `create_trainer` would make a trainer for."""
        settings = backend_config.settings()
        kind = backend_config.kind
        return load_plan(config, overrides=settings, kind=kind, hardware=Hardware.detect())

    @classmethod
    def create_trainer(cls, config: Config, backend_config: BackendConfig) -> TrainerBase:
        """Make the trainer for a configuration.

        Raises:
            AlignTuneError: for a configuration, name or combination that cannot work here.
        """
        return trainer_for(cls.plan(config, backend_config))


def trainer_for(plan: Plan) -> TrainerBase:
    """Load backend and trainer of a plan.

    The backend prepares the process before the trainer is imported, because some backends patch the
    libraries that the trainer imports.
    """
    backend = plan.backend.load()()
    backend.prepare(plan)
    trainer: TrainerBase = plan.algorithm.load()(plan, backend)
    return trainer


def create_sft_trainer(config: Config = None, **parameters: Any) -> TrainerBase:
    """Make a trainer for supervised fine-tuning.

    Args:
        config: a YAML or JSON file, a dict (nested or flat), or an `SFTConfig`.
        parameters: any parameter by its flat name (`model_name`, `batch_size`, ...) or a whole
            section (`train={...}`); they win over `config`.

    Raises:
        AlignTuneError: for a configuration, name or combination that cannot work here.
    """
    return _create(config, "sft", parameters)


def create_rl_trainer(config: Config = None, **parameters: Any) -> TrainerBase:
    """Make a trainer for an RL algorithm; as `create_sft_trainer`, with `algorithm` required.

    Raises:
        AlignTuneError: for a configuration, name or combination that cannot work here.
    """
    return _create(config, "rl", parameters)


def _create(config: Config, kind: Any, parameters: dict[str, Any]) -> TrainerBase:
    if isinstance(config, RunConfig) and config.kind != kind:
        other = "create_rl_trainer" if config.kind == "rl" else "create_sft_trainer"
        raise ConfigError(f"a {type(config).__name__} is for {other}")
    overrides = collect(parameters, lambda name: f"keyword argument {name.partition('.')[0]}")
    plan = load_plan(config, overrides=overrides, kind=kind, hardware=Hardware.detect())
    return trainer_for(plan)
