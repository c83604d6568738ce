"""Rows on their way into training, before any weight loads: `aligntune preview`."""

from __future__ import annotations

from aligntune.preview.preview import Preview, PreviewRow, Sequence, Token

__all__ = ["Preview", "PreviewRow", "Sequence", "Token"]
