"""Neural Mirror GRPO: group-based mirror policy optimization (Yuan et al. 2026, arXiv 2602.04380).

With the mirror map of Alfano et al. 2025 (arXiv 2402.05187), or a divergence in closed form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from aligntune.errors import ConfigError, Problem, RunError
from aligntune_trl.backend import Policy
from aligntune_trl.grpo.trainer import GRPOTrainer
from aligntune_trl.neural_mirror_grpo.mirror_map import (
    MirrorMap,
    squared_log_probability,
    squared_probability,
)

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import Trainer

    from aligntune_trl.neural_mirror_grpo.loss import Divergence

__all__ = ["NeuralMirrorGRPOTrainer"]

CLOSED_FORMS: dict[str, Divergence] = {
    "squared_log_probability": squared_log_probability,
    "squared_probability": squared_probability,
}


class NeuralMirrorGRPOTrainer(GRPOTrainer):
    """Dr. GRPO, held to the reference by the Bregman divergence of a mirror map in place of KL.

    The map stays as it is while the policy trains; `loop`, beside this module, has the loss.

    Attributes:
        mirror: the map; None for a divergence in closed form, or before data is prepared.
    """

    mirror: MirrorMap | None = None

    def own_arguments(self) -> dict[str, Any]:
        # Where beta is not 0, TRL loads a reference and has it score completions.
        return super().own_arguments() | {"beta": self.config.train.mirror_coef}

    def loop(self) -> type[Any]:
        from aligntune_trl.neural_mirror_grpo.loop import MirrorLoop

        return MirrorLoop

    def prepare_data(self) -> None:
        if self.config.train.mirror_divergence == "neural":
            self.mirror = self._mirror()
        super().prepare_data()

    def _mirror(self) -> MirrorMap:
        train = self.config.train
        if train.mirror_map is None:
            return MirrorMap.initial(train.mirror_init_scale, train.seed)
        try:
            return MirrorMap.load(train.mirror_map)
        except ConfigError as error:
            where = self.config.origins.get("train.mirror_map", "")
            problem = Problem("train.mirror_map", error.problems[0].message, where)
            raise ConfigError(problem) from error

    def resumed_from(self, step: int) -> None:
        super().resumed_from(step)
        before = self.run.mirror_map
        if self.mirror is None or not before.exists():
            return
        if not torch.equal(MirrorMap.load(before).vector(), self.mirror.vector()):
            raise RunError(
                f"{self.run.path} was begun with the mirror map in {before}, and "
                f"{self.config.train.mirror_map} holds another; resume with the same"
            )

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        train = self.config.train
        if self.mirror is not None:
            callbacks = [*callbacks, _SavesMap(self.mirror, self.run.mirror_map)]
        trainer: Any = super().make_trainer(policy, arguments, callbacks)
        trainer.ent_coef = train.ent_coef
        trainer.divergence = (
            CLOSED_FORMS[train.mirror_divergence] if self.mirror is None else self.mirror.divergence
        )
        return trainer  # type: ignore[no-any-return]


class _SavesMap(TrainerCallback):
    """Writes the mirror map into the run directory, with which the run can be repeated."""

    def __init__(self, mirror: MirrorMap, path: Path) -> None:
        self.mirror = mirror
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.mirror.save(self.path)
