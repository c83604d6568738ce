"""REINFORCE leave-one-out on TRL's RLOOTrainer (Ahmadian et al. 2024, arXiv 2402.14740)."""

from __future__ import annotations

from typing import Any

from aligntune_trl.grpo.trainer import GRPOTrainer

__all__ = ["RLOOTrainer"]


class RLOOTrainer(GRPOTrainer):
    """Learns from rewards, each compared with the mean of the others in its group.

    A completion is one action: its reward pays for its KL divergence to the reference, and the
    loss weighs its probability as a whole.
    """

    owner = "RLOOConfig"

    def own_arguments(self) -> dict[str, Any]:
        return {}

    def loop(self) -> type[Any]:
        from aligntune_trl.grpo.loop import LeaveOneOutTrainer

        return LeaveOneOutTrainer
