"""The Unsloth backend of AlignTune. Imports nothing; the manifest is `aligntune_unsloth.plugin`."""

__version__ = "0.1.0"
