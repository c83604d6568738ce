"""TRL's GRPOTrainer, with an order of prompts that has a seed of its own.

Imported only once the backend is prepared: Unsloth puts a trainer of its own in the place of TRL's.
"""

from __future__ import annotations

from typing import Any

import trl

__all__ = ["RolloutTrainer"]


class RolloutTrainer(trl.GRPOTrainer):
    """TRL's GRPOTrainer, whose prompts come in the order of `args.data_seed` (TRL: of `seed`)."""

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        sampler: Any = super()._get_train_sampler(dataset)
        sampler.generator.manual_seed(self.args.data_seed)
        return sampler
