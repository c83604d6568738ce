"""Algorithms of AlignTune on TRL. Nothing is imported here; the manifest is `aligntune_trl.plugin`."""

__version__ = "0.1.0"
