"""Where every field goes in group sequence policy optimization: as in GRPO, with one loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.plan.parameters import Fixed, ParameterTable, Use
from aligntune_trl.fields import batch
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.grpo.parameters import GRPO_BENDS, GRPO_CHECKS, grpo_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["gspo_table"]

UPDATES = 4  # of a generation of completions (arXiv 2507.18071, section 5.1)


def gspo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of GSPO, given the fields of the model section."""
    return grpo_uses(model) | {
        "train.loss_type": Fixed(
            ("grpo",), "GSPO is a mean over completions; `algorithm: grpo` has other losses"
        ),
    }


def _default_rollout(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """Completions serve four updates, or the next number of them that takes whole groups."""
    train = config.train
    if (train.num_ppo_epochs or 1) > 1:
        return None
    step = batch.step_size(config)
    updates = UPDATES
    while step * updates % (train.num_generations or 1):
        updates += 1
    return step * updates, f"{updates} updates for each completion"


def gspo_lines(config: RunConfig) -> list[str]:
    """The batch arithmetic of a GSPO run, in words."""
    lines = batch.grpo_lines(config)
    if batch.updates_per_generation(config) <= 1:
        lines.insert(2, "they serve one update, in which GSPO is GRPO: nothing is clipped")
    return lines


def gspo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of GSPO, given the fields of the model section."""
    sizes = ("train.per_device_batch_size", "train.num_generations")
    order = [path for path, _ in GRPO_BENDS]
    at = order.index(sizes[0]) + 1
    bends = (*GRPO_BENDS[:at], ("train.rollout_batch_size", _default_rollout), *GRPO_BENDS[at:])
    return ParameterTable(gspo_uses(model), bends, GRPO_CHECKS, gspo_lines, (check_machine,))
