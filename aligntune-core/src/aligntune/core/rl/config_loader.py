"""The class that loads, checks and saves configurations, at its documented path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aligntune.config import RunConfig, load_config
from aligntune.config.loader import Kind, Source
from aligntune.hardware import Hardware
from aligntune.plan import load_plan, save_resolved

__all__ = ["ConfigLoader"]


class ConfigLoader:
    """Loads, checks and saves configurations of either kind."""

    kind: Kind | None = None

    @classmethod
    def load_from_yaml(cls, path: str | Path) -> RunConfig:
        """Load a YAML file. Raises ConfigError with file, line and column."""
        return load_config(path, kind=cls.kind)

    @classmethod
    def load_from_json(cls, path: str | Path) -> RunConfig:
        """Load a JSON file. Raises ConfigError with file, line and column."""
        return load_config(path, kind=cls.kind)

    @classmethod
    def load_from_dict(cls, data: Mapping[str, Any]) -> RunConfig:
        """Load a dict, nested or flat. Raises ConfigError with the path of each key."""
        return load_config(data, kind=cls.kind)

    @classmethod
    def validate_config(cls, config: Source) -> RunConfig:
        """Check a configuration as `aligntune validate` does, and return it.

        Raises:
            AlignTuneError: if a run with it would be refused before anything loads.
        """
        load_plan(config, kind=cls.kind)
        return load_config(config, kind=cls.kind)

    @classmethod
    def save_resolved_config(cls, config: Source, output_dir: str | Path) -> Path:
        """Write every value that a run would use here to `config.yaml` in a folder.

        Returns its path. As in a run directory, defaults are those for the hardware that there is.

        Raises:
            AlignTuneError: if a run with it would be refused before anything loads.
        """
        plan = load_plan(config, kind=cls.kind, hardware=Hardware.detect())
        return save_resolved(plan, Path(output_dir) / "config.yaml")
