"""Documented path of the configuration loader for RL runs."""

from __future__ import annotations

from aligntune.config.loader import ConfigLoader

__all__ = ["ConfigLoader"]
