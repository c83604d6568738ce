"""TRL's trainers that complete prompts, with an order of prompts that has a seed of its own.

Imported only once the backend is prepared: Unsloth puts trainers of its own in the place of TRL's.
"""

from __future__ import annotations

from typing import Any

import trl

__all__ = ["LeaveOneOutTrainer", "RolloutTrainer"]


class RolloutTrainer(trl.GRPOTrainer):
    """TRL's GRPOTrainer, whose prompts come in the order of `args.data_seed` (TRL: of `seed`)."""

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return _in_order(super()._get_train_sampler(dataset), self.args)


class LeaveOneOutTrainer(trl.RLOOTrainer):
    """TRL's RLOOTrainer, with the same order."""

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return _in_order(super()._get_train_sampler(dataset), self.args)


def _in_order(sampler: Any, args: Any) -> Any:
    sampler.generator.manual_seed(args.data_seed)
    return sampler
