"""DAPO (Yu et al. 2025, arXiv 2503.14476) on TRL's GRPOTrainer, with dynamic sampling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aligntune_trl.grpo.trainer import GRPOTrainer

__all__ = ["DAPOTrainer"]


class DAPOTrainer(GRPOTrainer):
    """Decoupled clip and dynamic sampling policy optimization.

    GRPO with one mean over all tokens of a batch, a ratio that is clipped later from above, a price
    for completions that come near the longest, and batches without groups that teach nothing;
    `aligntune_trl.dapo.loop` fills them.
    """

    def loop(self) -> Callable[..., Any]:
        from aligntune_trl.dapo.loop import DAPOLoop

        return partial(DAPOLoop, settings=self.config.train)
