"""Where every field goes in Dr. GRPO: as in GRPO, without the two terms that bias it."""

from __future__ import annotations

from aligntune.plan.parameters import Fixed, ParameterTable, Use
from aligntune_trl.fields import batch
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.grpo.parameters import GRPO_BENDS, GRPO_CHECKS, grpo_uses

__all__ = ["dr_grpo_table"]


def dr_grpo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of Dr. GRPO, given the fields of the model section."""
    return grpo_uses(model) | {
        "train.loss_type": Fixed(
            ("dr_grpo",),
            "Dr. GRPO divides by `train.max_completion_length`, not by the length of a "
            "completion; `algorithm: grpo` has other losses",
        ),
        "train.scale_rewards": Fixed(
            ("none",),
            "Dr. GRPO divides advantages by no standard deviation; `algorithm: grpo` does",
        ),
    }


def dr_grpo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of Dr. GRPO, given the fields of the model section."""
    return ParameterTable(
        dr_grpo_uses(model), GRPO_BENDS, GRPO_CHECKS, batch.grpo_lines, (check_machine,)
    )
