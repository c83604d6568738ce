"""Documented path of the SFT configuration loader."""

from __future__ import annotations

from aligntune.config.loader import SFTConfigLoader

__all__ = ["SFTConfigLoader"]
