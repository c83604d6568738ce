"""The Unsloth backend of AlignTune. Nothing is imported here; the manifest is `aligntune_unsloth.plugin`."""

__version__ = "0.1.0"
