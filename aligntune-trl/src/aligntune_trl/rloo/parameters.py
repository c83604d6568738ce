"""Where every field goes in REINFORCE leave-one-out, on TRL's RLOOTrainer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aligntune.errors import Problem
from aligntune.plan.parameters import ParameterTable, Refused, To, Use
from aligntune_trl.fields import batch, checking
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.grpo.parameters import GROUP_CHECKS, GRPO_BENDS, grpo_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = ["rloo_table"]

OWNER = "RLOOConfig"


def rloo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of RLOO, given the fields of the model section."""
    return grpo_uses(model, OWNER) | {
        "train.scale_rewards": To(
            "normalize_advantages", OWNER, convert=lambda value: value == "batch"
        ),
        "train.loss_type": Refused("RLOO has one loss, of whole completions"),
        "train.ent_coef": Refused("TRL's RLOO has no entropy bonus"),
    }


def _check_scale(config: RunConfig) -> Iterable[Problem]:
    if config.train.scale_rewards == "group":
        message = "RLOO compares a reward with the others of its group, at the scale that it has"
        hint = "use `none` or `batch`; or `algorithm: grpo`, which divides by the group's deviation"
        yield Problem("train.scale_rewards", message, hint=hint)


RLOO_BENDS = tuple((path, bend) for path, bend in GRPO_BENDS if path != "train.cliprange_high")
RLOO_CHECKS = (*checking.checks(), *GROUP_CHECKS, _check_scale)


def rloo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of RLOO, given the fields of the model section."""
    return ParameterTable(
        rloo_uses(model), RLOO_BENDS, RLOO_CHECKS, batch.grpo_lines, (check_machine,)
    )
