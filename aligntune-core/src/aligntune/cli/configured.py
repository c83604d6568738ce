"""The configuration that a command was given: a file, flags, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aligntune.config import RunConfig, load_config
from aligntune.config.assemble import collect
from aligntune.errors import ConfigError

__all__ = ["config_of"]

_EVALUATORS = "evaluation.evaluators."


def config_of(path: Path | None, flags: dict[str, Any]) -> RunConfig:
    """Load the configuration file, with the flags on top.

    Raises:
        ConfigError: if there is neither file nor flags, or the configuration is wrong.
    """
    if path is None and not flags:
        raise ConfigError("give a configuration file, or flags such as --model and --dataset")
    dotted = {name: value for name, value in flags.items() if "." in name}
    flat = {name: value for name, value in flags.items() if "." not in name}
    overrides = collect(flat, lambda name: f"flag --{name.partition('.')[0].replace('_', '-')}")
    overrides += _dotted(dotted)
    return load_config(path, overrides=overrides)


def _dotted(flags: dict[str, Any]) -> list[Any]:
    settings = []
    for name, value in flags.items():
        nested: Any = value
        for part in reversed(name.split(".")[1:]):
            nested = {part: nested}
        head = name.partition(".")[0]
        if head in ("datasets", "eval_datasets", "rewards") or name.startswith(_EVALUATORS):
            settings.extend(_indexed(name, value))
        else:
            settings.extend(collect({head: nested}, f"flag --{name}"))
    return settings


def _indexed(name: str, value: Any) -> list[Any]:
    """A flag such as `--datasets.0.split`: one field of one item of a list."""
    from aligntune.config.assemble import Setting

    return [Setting(name, value, f"flag --{name}", name)]
