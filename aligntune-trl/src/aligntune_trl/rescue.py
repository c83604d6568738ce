"""Keeps a run whose reward fails: a checkpoint of the last step, from which it goes on exactly.

A reward raises amid a step, when random numbers for that step have been drawn. The checkpoint
holds the random states of the end of the step before, as one that was saved there would.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainerCallback

from aligntune.errors import RewardError

if TYPE_CHECKING:
    from transformers import Trainer

    from aligntune_trl.base import TRLTrainer

__all__ = ["Rescue"]

logger = logging.getLogger("aligntune")


class Rescue(TrainerCallback):
    """Remembers what random states, running means and the like were when the last step ended."""

    def __init__(self, owner: TRLTrainer) -> None:
        self.owner = owner
        self._states: dict[str, Any] = {}

    def on_train_begin(self, *given: Any, **named: Any) -> None:
        self._remember()

    def on_step_end(self, *given: Any, **named: Any) -> None:
        self._remember()

    def save(self, trainer: Trainer, error: RewardError) -> RewardError:
        """Save a checkpoint of the last step that ended; the error, with where the run can go on.

        A run that has not ended its first step has nothing to save. Where saving fails, as on a
        full disk, the error says so, and is still that of the reward.
        """
        step = trainer.state.global_step
        if not step:
            return error
        folder = self.owner.run.checkpoints / f"checkpoint-{step}"
        if not (folder / "trainer_state.json").exists():
            self._restore(trainer)
            model: Any = trainer.model
            try:
                trainer._save_checkpoint(model, trial=None)  # noqa: SLF001 (no other way)
            except Exception as failure:
                logger.exception("the checkpoint of step %d could not be saved", step)
                return RewardError(
                    f"{error}\nThe run could not be saved at step {step}: "
                    f"{type(failure).__name__}: {failure}"
                )
        return RewardError(
            f"{error}\nThe run is saved at step {step}: mend the reward, and go on with --resume "
            "(Python: resume=True)"
        )

    def _remember(self) -> None:
        self._states = {
            "python": random.getstate(),
            "numpy": np.random.get_state(),  # noqa: NPY002 (the one that libraries draw from)
            "torch": torch.random.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        if self.owner.scorer is not None:
            self._states["running"] = dict(self.owner.scorer.running.moments)
        trainer: Any = self.owner.trainer
        names = getattr(trainer, "moved_by_rollouts", ())
        self._states["moved"] = {name: getattr(trainer, name) for name in names}

    def _restore(self, trainer: Trainer) -> None:
        random.setstate(self._states["python"])
        np.random.set_state(self._states["numpy"])  # noqa: NPY002
        torch.random.set_rng_state(self._states["torch"])
        if self._states["cuda"]:
            torch.cuda.set_rng_state_all(self._states["cuda"])
        if self.owner.scorer is not None:
            self.owner.scorer.running.moments = self._states["running"]
        for name, value in self._states["moved"].items():
            setattr(trainer, name, value)
