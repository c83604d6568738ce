"""Loads a configuration from a file, a dict, an object, keyword arguments and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from aligntune.config.assemble import Setting, collect
from aligntune.config.environment import from_secret
from aligntune.config.includes import read_documents
from aligntune.config.run_config import RunConfig, SFTConfig, UnifiedConfig
from aligntune.config.sources import Document
from aligntune.errors import ConfigError, Problem

__all__ = ["Kind", "Source", "load_config", "read", "settings_of"]

Kind = Literal["sft", "rl"]
Source = str | Path | Mapping[str, Any] | RunConfig


def settings_of(source: Source) -> list[Setting]:
    """The settings that a file, a dict or a configuration makes.

    Raises:
        ConfigError: if it cannot be read, or contradicts itself.
    """
    if isinstance(source, RunConfig):
        return source.settings()
    if isinstance(source, (str, Path)):
        return [setting for document in read_documents(source) for setting in _settings(document)]
    if isinstance(source, Mapping):
        return collect({str(key): value for key, value in source.items()}, "Python")
    raise ConfigError(
        f"a configuration is a file name, a dict or a config object, not a {type(source).__name__}"
    )


def _settings(document: Document) -> list[Setting]:
    wrong = [Setting(p.path, None, p.where, p.path, p) for p in document.problems]
    return [*wrong, *collect(document.data, document.origin)]


def load_config(
    source: Source | None = None, *, overrides: Sequence[Setting] = (), kind: Kind | None = None
) -> RunConfig:
    """Load a configuration; `overrides` win over what `source` says.

    Args:
        source: a YAML or JSON file, with the files that it names as its `base` and environment
            variables put in; a dict (nested or flat); or a configuration.
        overrides: settings on top, such as those of keyword arguments or flags.
        kind: `"sft"` or `"rl"`; None reads it off the algorithm.

    Raises:
        ConfigError: with every problem at once, each with its place.
    """
    settings, config = read(source, overrides, kind)
    return config.of(settings)


def read(
    source: Source | None, overrides: Sequence[Setting], kind: Kind | None
) -> tuple[list[Setting], type[RunConfig]]:
    """The settings that make a configuration, and whether that is one of SFT or of RL.

    Raises:
        ConfigError: if the source cannot be read.
    """
    settings = [*(settings_of(source) if source is not None else ()), *overrides]
    settings, said = _kind_said(settings)
    algorithm = next((s.value for s in reversed(settings) if s.path == "algo"), None)
    kind = kind or said or _kind_of(algorithm)
    return settings, SFTConfig if kind == "sft" else UnifiedConfig


def _kind_said(settings: list[Setting]) -> tuple[list[Setting], Kind | None]:
    """Take out `type` / `training_type`: `sft` or `rl`."""
    rest = [s for s in settings if s.path not in ("type", "training_type")]
    said: Kind | None = None
    for setting in settings:
        if setting.path in ("type", "training_type"):
            said = "sft" if str(setting.value).lower() == "sft" else "rl"
    algorithms = {str(s.value).lower() for s in rest if s.path == "algo"}
    if said == "sft" and algorithms - {"sft"}:
        secret = any(from_secret(s.origin) for s in rest if s.path == "algo")
        other = "another" if secret else repr(min(algorithms - {"sft"}))
        origin = next(s.origin for s in reversed(settings) if s.path in ("type", "training_type"))
        where = "" if origin == "Python" else origin
        problem = Problem("type", f"it says sft, and the algorithm is {other}", where)
        rest.append(Setting("type", None, origin, problem=problem))
    return rest, said


def _kind_of(algorithm: object) -> Kind:
    if algorithm is None or str(algorithm).lower() == "sft":
        return "sft"
    from aligntune import plugins

    matches = plugins.get().algorithms.matching(str(algorithm).lower())
    return matches[0].facts.kind if matches else "rl"
