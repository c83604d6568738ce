"""Where every field goes in Neural Mirror GRPO: as in Dr. GRPO, with a divergence of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aligntune.errors import Problem
from aligntune.plan.parameters import Fixed, Ours, ParameterTable, Use, When
from aligntune_trl.dr_grpo.parameters import dr_grpo_uses
from aligntune_trl.fields import batch
from aligntune_trl.fields.contradictions import check_adapter_reference, check_reference
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.grpo.parameters import GRPO_BENDS, GRPO_CHECKS

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = ["neural_mirror_grpo_table"]

_NEURAL = When("train.mirror_divergence", ("neural",))
_OF_THE_DIVERGENCE = ("mirror_divergence", "mirror_init_scale", "mirror_map")


def neural_mirror_grpo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of Neural Mirror GRPO, given the fields of the model section."""
    return dr_grpo_uses(model) | {
        "train.mirror_coef": Ours("the weight of the divergence to the reference in the loss"),
        "train.mirror_divergence": Ours("which divergence that is"),
        "train.mirror_init_scale": Ours("the random mirror map", when=_NEURAL),
        "train.mirror_map": Ours("the file that the mirror map is read from", when=_NEURAL),
        "train.kl_coef": Fixed(
            (0.0,),
            "the divergence of the mirror map stands in the place of the KL divergence; its weight "
            "is `train.mirror_coef`",
        ),
        "train.loss_type": Fixed(
            ("dr_grpo",), "Neural Mirror GRPO divides by `train.max_completion_length`"
        ),
        "train.scale_rewards": Fixed(
            ("none",), "Neural Mirror GRPO divides advantages by no standard deviation"
        ),
        "train.ent_coef": Ours("the weight of the entropy in the loss"),
    }


def _check_map(config: RunConfig) -> Iterable[Problem]:
    train = config.train
    given = train.model_fields_set
    if train.mirror_coef == 0:
        for name in _OF_THE_DIVERGENCE:
            if name in given and getattr(train, name) != type(train).model_fields[name].default:
                message = "the divergence does not count: `train.mirror_coef` is 0"
                yield Problem(f"train.{name}", message, hint="raise it, or leave this out")
    if train.mirror_map is not None and "mirror_init_scale" in given:
        message = "the mirror map is read from `train.mirror_map`, and not made at random"
        yield Problem("train.mirror_init_scale", message, hint="keep one of them")


def _check_reference(config: RunConfig) -> Iterable[Problem]:
    yield from check_reference(config, "mirror_coef")
    yield from check_adapter_reference(config, "mirror_coef")


# What needs a reference goes by the weight of this divergence, not by that of KL.
CHECKS = (
    *(check for check in GRPO_CHECKS if check not in {check_reference, check_adapter_reference}),
    _check_reference,
    _check_map,
)


def neural_mirror_grpo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of Neural Mirror GRPO, given the fields of the model section."""
    return ParameterTable(
        neural_mirror_grpo_uses(model), GRPO_BENDS, CHECKS, batch.grpo_lines, (check_machine,)
    )
