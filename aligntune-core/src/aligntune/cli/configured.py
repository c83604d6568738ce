"""The configuration that a command was given: a file, flags, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aligntune.config import RunConfig, load_config
from aligntune.config.assemble import collect
from aligntune.errors import ConfigError

__all__ = ["config_of"]


def config_of(path: Path | None, flags: dict[str, Any]) -> RunConfig:
    """Load the configuration file, with the flags on top.

    Raises:
        ConfigError: if there is neither file nor flags, or the configuration is wrong.
    """
    if path is None and not flags:
        raise ConfigError("give a configuration file, or flags such as --model and --dataset")

    def flag(written: str) -> str:
        given = max((n for n in flags if f"{written}.".startswith(f"{n}.")), key=len)
        return f"flag --{given if '.' in given else given.replace('_', '-')}"

    overrides = collect(flags, flag)
    return load_config(path, overrides=overrides)
