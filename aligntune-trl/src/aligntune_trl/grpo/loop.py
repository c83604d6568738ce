"""TRL's trainers that complete prompts, with an order of prompts that has a seed of its own.

Imported only once the backend is prepared: Unsloth puts trainers of its own in the place of TRL's.
"""

from __future__ import annotations

from typing import Any

import trl
from accelerate.utils import is_peft_model

__all__ = ["LeaveOneOutTrainer", "RolloutTrainer"]


class RolloutTrainer(trl.GRPOTrainer):
    """TRL's GRPOTrainer, whose prompts come in the order of `args.data_seed` (TRL: of `seed`)."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _without_copy(self.model)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return _in_order(super()._get_train_sampler(dataset), self.args)


class LeaveOneOutTrainer(trl.RLOOTrainer):
    """TRL's RLOOTrainer, with the same order."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _without_copy(self.model)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return _in_order(super()._get_train_sampler(dataset), self.args)


def _in_order(sampler: Any, args: Any) -> Any:
    sampler.generator.manual_seed(args.data_seed)
    return sampler


def _without_copy(policy: Any) -> None:
    """Delete the copy that TRL makes of an adapter that the policy brings, as Unsloth's does.

    The adapter is new, and without it the policy is the reference. With the copy in a checkpoint,
    transformers would load that alone, and a run would resume without what its adapter had learned.
    """
    if is_peft_model(policy) and "ref" in policy.peft_config:
        policy.delete_adapter("ref")
