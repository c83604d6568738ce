"""What a run writes, where, and whom it tells."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from aligntune.config.section import Section, setting

__all__ = ["LoggingConfig", "SampleLoggingConfig"]


class SampleLoggingConfig(Section):
    """Completions that are made and written down during training, to see what the model says."""

    enabled: bool = setting(False)
    """Whether to do so."""
    prompts: list[str] | None = setting(None)
    """Prompts to complete; unset, the first of the data."""
    interval_steps: int | None = setting(None, ge=1)
    """Steps between samples."""
    percent_of_max_steps: float | None = setting(None, gt=0, le=1)
    """The same as a fraction of all steps; unset too, a tenth."""
    max_new_tokens: int = setting(80, ge=1)
    """Longest completion, in tokens."""
    temperature: float = setting(0.6, ge=0)
    """Sampling temperature; 0 takes the likeliest token."""
    top_p: float = setting(0.9, gt=0, le=1)
    """Nucleus sampling."""
    num_samples: int = setting(3, ge=1)
    """Completions per prompt."""


class LoggingConfig(Section):
    """Where the run leaves what it made, and whom it tells."""

    elsewhere = {
        "log_interval": "train.logging_steps",
        "save_steps": "train.save_interval",
        "eval_steps": "train.eval_interval",
        "save_strategy": "train.save_strategy",
        "eval_strategy": "train.eval_strategy",
    }

    output_dir: str = setting("./output", min_length=1)
    """The run directory."""
    run_name: str | None = setting(None)
    """Name of the run; unset, the name of the run directory."""
    loggers: list[str] = setting(["tensorboard"], aliases=("report_to",))
    """Experiment trackers; `none` for none. Unset, those of the default that are installed."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = setting(
        "INFO", aliases=("level",)
    )
    """How much is logged."""
    disable_tqdm: bool = setting(False)
    """No progress bars."""
    logging_dir: str | None = setting(None)
    """Folder of TensorBoard's files; unset, `logs` in the run directory."""
    sample_logging: SampleLoggingConfig = Field(default_factory=SampleLoggingConfig)
    """Completions that are written down while the run trains."""
    push_to_hub: bool = setting(False)
    """Upload the trained model to the hub when the run ends."""
    hub_model_id: str | None = setting(None)
    """Repository to upload to; unset, named like the run."""
    hub_token: SecretStr | None = setting(None)
    """Token for the upload; unset, the one that is logged in. It is never written down."""

    @field_validator("loggers", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        if isinstance(value, str):
            value = [value]
        return [] if value in (["none"], None) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value
