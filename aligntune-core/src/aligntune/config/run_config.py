"""The whole configuration of a run: `SFTConfig` for supervised runs, `UnifiedConfig` for RL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, field_validator

from aligntune.config.assemble import Setting, collect, merge
from aligntune.config.environment import from_secret
from aligntune.config.problems import apart, in_order, place
from aligntune.config.section import Section, setting
from aligntune.config.sections import (
    DatasetConfig,
    DistributedConfig,
    EvaluationConfig,
    LoggingConfig,
    MetaESConfig,
    ModelConfig,
    PluginsConfig,
    RewardConfig,
    TrainingConfig,
)
from aligntune.enums import AlgorithmType, BackendType
from aligntune.errors import ConfigError, Problem

__all__ = ["RunConfig", "SFTConfig", "UnifiedConfig"]

SETTINGS = "__settings__"


def _placed(problem: Problem, origins: dict[str, str]) -> Problem:
    where = problem.where or place(problem.path, origins)
    given = "a value that is not shown" if from_secret(where) else problem.given
    return replace(problem, where=where, given=given)


class RunConfig(Section):
    """What both kinds of run have in common. Use `SFTConfig` or `UnifiedConfig`."""

    kind: ClassVar[Literal["sft", "rl"]]

    algo: str = setting("sft", aliases=("algorithm",), min_length=1)
    """The algorithm."""
    backend: str = setting("auto", min_length=1)
    """The training backend: a registered name, or `auto` for the best that works here."""
    model: ModelConfig
    """The model."""
    datasets: list[DatasetConfig] = Field(min_length=1)
    """Training data."""
    eval_datasets: list[DatasetConfig] = Field(default_factory=list)
    """Evaluation data."""
    train: TrainingConfig = Field(default_factory=TrainingConfig)
    """Training."""
    rewards: list[RewardConfig] = Field(default_factory=list)
    """Reward functions."""
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    """Evaluation."""
    logging: LoggingConfig = Field(default_factory=LoggingConfig)
    """Run directory and trackers."""
    distributed: DistributedConfig = Field(default_factory=DistributedConfig)
    """Processes."""
    chat_template: str | None = setting(None)
    """Jinja chat template that replaces the tokenizer's; unset or `auto`, the tokenizer's own."""
    meta_es: MetaESConfig = Field(default_factory=MetaESConfig)
    """Meta-ES."""
    tasks: list[Any] = setting([])
    """Reserved for evaluation tasks."""
    caching: dict[str, Any] = setting({})
    """Reserved; the libraries' own caches are set by their environment variables."""
    plugins: PluginsConfig = Field(default_factory=PluginsConfig)
    """Plugins."""

    # Full path of a value -> where it came from. A path that is not here stands at its default.
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def __init__(self, /, **given: Any) -> None:
        settings = given.pop(SETTINGS, None)
        problems: list[Problem] = []
        tree, origins = merge(collect(given, "Python") if settings is None else settings, problems)
        try:
            super().__init__(**tree)
        except ConfigError as error:
            placed = [_placed(problem, origins) for problem in error.problems]
            raise ConfigError(in_order([*problems, *apart(placed, problems)])) from None
        if problems:
            raise ConfigError(in_order(problems))
        self._origins = origins
        if self.kind == "rl":
            for section in (
                self.model,
                self.train,
                self.evaluation,
                self.logging,
                *self.datasets,
                *self.eval_datasets,
            ):
                section.use_rl_defaults()

    @classmethod
    def of(cls, settings: Iterable[Setting]) -> Self:
        """Build a configuration from settings, which keep their origins.

        Raises:
            ConfigError: with every problem found, each with the place where it was written.
        """
        return cls(**{SETTINGS: list(settings)})

    def settings(self) -> list[Setting]:
        """The settings that make this configuration, to be merged with others."""
        return [
            Setting(s.path, s.value, self._origins.get(s.path, s.origin), s.given_as)
            for s in collect(self.explicit(), "Python")
        ]

    @property
    def origins(self) -> dict[str, str]:
        """Full path of every value that was set -> where it came from."""
        return dict(self._origins)

    @property
    def has_evaluation_data(self) -> bool:
        """Whether there are rows to evaluate on: of their own, or held out of those to train on."""
        held_out = any(data.val_size is not None for data in self.datasets)
        return bool(self.eval_datasets) or held_out

    @field_validator("algo", mode="before")
    @classmethod
    def _algorithm(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                return AlgorithmType(value).value
            except ValueError:
                return value  # a plugin's algorithm
        return value

    @field_validator("chat_template", mode="before")
    @classmethod
    def _auto(cls, value: object) -> object:
        return None if value == "auto" else value

    @field_validator("backend", mode="before")
    @classmethod
    def _training_backend(cls, value: object) -> object:
        if isinstance(value, str) and value.lower() in ("single", "ddp", "fsdp", "deepspeed"):
            raise ValueError(
                f"{str(value)!r} is a distributed strategy; set `distributed.backend: {value}`"
            )
        if isinstance(value, str):
            try:
                return BackendType(value).value
            except ValueError:
                return value  # a plugin's backend
        return value


class SFTConfig(RunConfig):
    """Configuration of a supervised run."""

    kind = "sft"


class UnifiedConfig(RunConfig):
    """Configuration of an RL run."""

    kind = "rl"

    algo: str = setting(..., aliases=("algorithm",), min_length=1)
    """The algorithm: grpo, or another registered one."""
