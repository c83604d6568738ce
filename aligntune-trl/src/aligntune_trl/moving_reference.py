"""A reference that follows the policy (TR-DPO, Gorbatovski et al. 2024, arXiv 2404.09656).

What it has become is in no checkpoint of TRL's, whose runs resume with the one they began with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model

__all__ = ["MovingReference"]

REFERENCE = "reference.safetensors"
_Base: Any = object  # whichever trainer of TRL comes behind


class MovingReference(_Base):  # type: ignore[misc]
    """Put before a trainer of TRL: keeps a reference that moves in checkpoints."""

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.sync_ref_model and self.args.should_save:
            reference = self.accelerator.unwrap_model(self.ref_model)
            save_model(reference, str(Path(output_dir) / REFERENCE))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.args.sync_ref_model and checkpoint is not None:
            reference = self.accelerator.unwrap_model(self.ref_model)
            load_model(reference, Path(checkpoint) / REFERENCE)
