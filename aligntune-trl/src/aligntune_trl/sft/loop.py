"""TRL's SFTTrainer, which says how many batches had nothing to train on.

Imported only once the backend is prepared: Unsloth puts a trainer of its own in the place of TRL's.
"""

from __future__ import annotations

from typing import Any

import trl

__all__ = ["IGNORED", "LabelledTrainer"]

IGNORED = -100  # the label of a token that is not trained on


class LabelledTrainer(trl.SFTTrainer):
    """TRL's SFTTrainer, which logs `empty_batches`: the share without a token to train on."""

    model: Any

    def compute_loss(self, model: Any, inputs: dict[str, Any], *more: Any, **named: Any) -> Any:
        empty = bool((inputs["labels"] == IGNORED).all())
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["empty_batches"].append(float(empty))
        return super().compute_loss(model, inputs, *more, **named)  # type: ignore[no-untyped-call]
