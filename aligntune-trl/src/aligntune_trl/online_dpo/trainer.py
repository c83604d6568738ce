"""Online direct preference optimization from rewards (Guo et al. 2024, arXiv 2402.04792)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aligntune_trl.grpo.trainer import GRPOTrainer

__all__ = ["OnlineDPOTrainer"]


class OnlineDPOTrainer(GRPOTrainer):
    """Learns from pairs of completions that the policy makes itself, of which rewards prefer one.

    The loss is DPO's; `aligntune_trl.online_dpo.loop` is the algorithm.
    """

    def own_arguments(self) -> dict[str, Any]:
        return {
            "num_generations": 2,
            "loss_type": "grpo",  # none of GRPO's losses is computed
            "scale_rewards": "none",
            "importance_sampling_level": "token",
            "use_bias_correction_kl": False,
        }

    def loop(self) -> Callable[..., Any]:
        from aligntune_trl.online_dpo.loop import OnlinePairs

        return partial(OnlinePairs, settings=self.config.train)
