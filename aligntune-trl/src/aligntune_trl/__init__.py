"""Algorithms of AlignTune on TRL. Imports nothing; the manifest is `aligntune_trl.plugin`."""

__version__ = "0.1.0"
