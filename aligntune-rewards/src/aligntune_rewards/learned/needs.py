"""What rewards with a model of their own need, as facts of a manifest."""

from __future__ import annotations

from typing import Any

__all__ = ["EMBEDDINGS", "MODELS"]

MODELS: dict[str, Any] = {
    "cost": "model",
    "packages": ("torch>=2.6", "transformers>=5.17"),
    "install": "aligntune-rewards[models]",
}
EMBEDDINGS: dict[str, Any] = {
    "cost": "model",
    "packages": (*MODELS["packages"], "sentence-transformers>=5"),
    "install": "aligntune-rewards[embeddings]",
}
