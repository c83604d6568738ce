"""The same for supervised runs alone, at its documented path."""

from __future__ import annotations

from aligntune.core.rl.config_loader import ConfigLoader

__all__ = ["SFTConfigLoader"]


class SFTConfigLoader(ConfigLoader):
    """The same for supervised runs alone."""

    kind = "sft"
