"""Metrics and standalone evaluation of causal language models, without a training backend."""

from __future__ import annotations

__all__: list[str] = []
