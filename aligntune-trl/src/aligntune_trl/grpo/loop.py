"""TRL's trainers that complete prompts, with an order of prompts that has a seed of its own.

Imported only once the backend is prepared: Unsloth puts trainers of its own in the place of TRL's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import trl
from accelerate.utils import is_peft_model
from torch.utils.data import Sampler

from aligntune_trl.moving_reference import MovingReference
from aligntune_trl.watch import COUNTED, EQUAL

__all__ = ["LeaveOneOutTrainer", "RolloutTrainer", "note_counted"]


class _Completes(MovingReference):
    """What both have that TRL's trainers lack.

    `moved_by_rollouts`: names of attributes that making completions changes, and checkpoints keep.
    """

    moved_by_rollouts: tuple[str, ...] = ()

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _without_copy(self.model)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return _Prompts(super()._get_train_sampler(dataset), self)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        note_counted(self, self._metrics, batch)
        return batch

    def evaluate(self, *given: Any, **named: Any) -> dict[str, float]:
        with torch.random.fork_rng():  # training goes on as it would have without
            found: dict[str, float] = super().evaluate(*given, **named)
        return found


class RolloutTrainer(_Completes, trl.GRPOTrainer):
    """TRL's GRPOTrainer, whose prompts come in the order of `args.data_seed` (TRL: of `seed`)."""

    def _calculate_rewards(self, *given: Any) -> Any:
        rewards = super()._calculate_rewards(*given)
        if self.scale_rewards == "batch":  # TRL's `frac_reward_zero_std` is of the batch then
            _note_equal(self, self._metrics, rewards)
        return rewards


class LeaveOneOutTrainer(_Completes, trl.RLOOTrainer):
    """TRL's RLOOTrainer, with the same order."""

    def _calculate_rewards(self, *given: Any) -> Any:
        rewards = super()._calculate_rewards(*given)
        # TRL's `frac_reward_zero_std` has the KL divergence in it, which is never quite the same.
        _note_equal(self, self._metrics, rewards)
        return rewards


class _Prompts(Sampler[int]):
    """The order of TRL's sampler, of the seed of the data.

    Each pass over the rows has another. TRL's sampler counts them from its first use, so that a run
    that resumes in a later pass would begin with the order of the first.
    """

    def __init__(self, sampler: Any, trainer: Any) -> None:
        self.sampler = sampler
        self.trainer = trainer
        self.begun = 0
        sampler.generator.manual_seed(trainer.args.data_seed)

    def __iter__(self) -> Iterator[int]:
        for _ in range(self.begun, int(self.trainer.state.epoch or 0)):
            torch.randperm(self.sampler.num_samples, generator=self.sampler.generator)
            self.begun += 1
        self.begun += 1
        return iter(self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)


def _without_copy(policy: Any) -> None:
    """Delete the copy that TRL makes of an adapter that the policy brings, as Unsloth's does.

    The adapter is new, and without it the policy is the reference. With the copy in a checkpoint,
    transformers would load that alone, and a run would resume without what its adapter had learned.
    """
    if is_peft_model(policy) and "ref" in policy.peft_config:
        policy.delete_adapter("ref")


def _note_equal(trainer: Any, metrics: dict[str, Any], rewards: torch.Tensor) -> None:
    """Log the share of groups with one reward; `rewards` has the shape (completions, functions)."""
    training = trainer.model.training
    size = trainer.num_generations if training else trainer.num_generations_eval
    groups = rewards[:, 0].view(-1, size)
    equal = (groups.amax(dim=1) == groups.amin(dim=1)).float()
    metrics["train" if training else "eval"][EQUAL].append(equal.mean().item())


def note_counted(trainer: Any, metrics: dict[str, Any], batch: dict[str, Any]) -> None:
    """Log the share of completions of which tokens count, where those that are cut do not."""
    if not trainer.args.mask_truncated_completions:
        return
    counts = trainer.accelerator.gather(batch["completion_mask"].any(dim=1).float().mean())
    mode = "train" if trainer.model.training else "eval"
    metrics[mode][COUNTED].append(counts.mean().item())
