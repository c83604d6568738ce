"""The processes of a run, and the plugins they may load."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import WithJsonSchema, field_validator

from aligntune.config.section import Section, setting
from aligntune.enums import BackendType

__all__ = ["DistributedConfig", "PluginsConfig"]


class DistributedConfig(Section):
    """How many processes train, and how they share the work."""

    elsewhere = {"seed": "train.seed"}

    backend: Annotated[
        BackendType, WithJsonSchema({"enum": ["single", "ddp", "fsdp", "deepspeed"]})
    ] = setting(BackendType.SINGLE)
    """Distributed strategy: single, ddp, fsdp or deepspeed."""
    num_processes: int = setting(1, ge=1)
    """Processes."""
    master_addr: str = setting("localhost", min_length=1)
    """Address of the first machine, as the launcher was told."""
    master_port: int = setting(29500, ge=1, le=65535)
    """Port there."""
    deepspeed_config: dict[str, Any] = setting({})
    """DeepSpeed's configuration."""
    fsdp_config: dict[str, Any] = setting({})
    """Arguments of fully sharded data parallelism."""

    @field_validator("backend")
    @classmethod
    def _strategy(cls, value: BackendType) -> BackendType:
        strategies = (BackendType.SINGLE, BackendType.DDP, BackendType.FSDP, BackendType.DEEPSPEED)
        if value not in strategies:
            raise ValueError(f"{value.value!r} is a training backend; set `backend: {value.value}`")
        return value


class PluginsConfig(Section):
    """Which plugins may load for this run."""

    only: list[str] | None = setting(None)
    """Allow-list of entry-point or distribution names."""
    without: list[str] = setting([])
    """Deny-list of entry-point or distribution names."""
    strict: bool = setting(False)
    """Stop at the first plugin that fails, instead of listing it."""
