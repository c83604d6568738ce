"""The configuration that a command was given, a file, flags, or both; and its plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aligntune.config import RunConfig, load_config
from aligntune.config.assemble import Setting, collect
from aligntune.errors import ConfigError
from aligntune.hardware import Hardware
from aligntune.plan import Plan, load_plan

__all__ = ["config_of", "plan_of"]


def config_of(path: Path | None, flags: dict[str, Any]) -> RunConfig:
    """Load the configuration file, with the flags on top.

    Raises:
        ConfigError: if there is neither file nor flags, or the configuration is wrong.
    """
    return load_config(path, overrides=_flags(path, flags))


def plan_of(path: Path | None, flags: dict[str, Any], *, hardware: Hardware | None = None) -> Plan:
    """Load the configuration and plan its run.

    Raises:
        AlignTuneError: as `config_of`, and if the run would be refused.
    """
    return load_plan(path, overrides=_flags(path, flags), hardware=hardware)


def _flags(path: Path | None, flags: dict[str, Any]) -> list[Setting]:
    if path is None and not flags:
        raise ConfigError("give a configuration file, or flags such as --model and --dataset")

    def flag(written: str) -> str:
        given = max((n for n in flags if f"{written}.".startswith(f"{n}.")), key=len)
        return f"flag --{given if '.' in given else given.replace('_', '-')}"

    return collect(flags, flag)
