"""Group sequence policy optimization on TRL's GRPOTrainer (Zheng et al. 2025, arXiv 2507.18071)."""

from __future__ import annotations

import logging

from aligntune_trl.fields.batch import updates_per_generation
from aligntune_trl.grpo.trainer import GRPOTrainer

__all__ = ["GSPOTrainer"]

logger = logging.getLogger("aligntune")


class GSPOTrainer(GRPOTrainer):
    """GRPO whose probability ratio, and with it the clipping, is that of a whole completion.

    The ratio is the geometric mean of those of the tokens. It is 1 in the first update after
    completions were made, so that there must be more than one for GSPO to differ from GRPO.
    """

    @property
    def ratio(self) -> str:
        return "sequence"

    def prepare_data(self) -> None:
        super().prepare_data()
        if updates_per_generation(self.config) <= 1:
            logger.warning(
                "completions serve one update, in which GSPO is GRPO; raise "
                "`train.rollout_batch_size` or `train.num_ppo_epochs`"
            )
