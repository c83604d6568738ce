"""Where every field goes in online DPO, on what TRL's GRPOTrainer is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from aligntune.errors import Problem
from aligntune.plan.parameters import Check, Fixed, Ours, ParameterTable, Refused, To, Use
from aligntune_trl.fields import batch, checking, contradictions
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.grpo.parameters import GRPO_BENDS, grpo_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = ["online_dpo_table"]

LOSSES = ("sigmoid", "ipo", "hinge")
# Fields of GRPO that a loss of pairs has no use for.
_OF_GROUPS = ("cliprange", "cliprange_high", "ent_coef", "scale_rewards")


def online_dpo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of online DPO, given the fields of the model section."""
    uses = grpo_uses(model)
    for name in _OF_GROUPS:
        uses.pop(f"train.{name}")
    return uses | {
        "model.bias": Fixed(
            ("none",), "biases that train stay when the adapter is switched off for the reference"
        ),
        "train.beta": To("beta", "GRPOConfig"),
        "train.loss_type": Ours("the loss of a pair: sigmoid (DPO), ipo or hinge"),
        "train.missing_eos_penalty": Ours("taken from the score of completions that do not end"),
        "train.num_generations": Fixed((2,), "a pair is two completions"),
        "train.kl_coef": Refused("what holds the policy to the reference is `train.beta`"),
        "train.mask_truncated_completions": Refused(
            "a completion left out would leave no pair; see `train.missing_eos_penalty`"
        ),
    }


def _check_pairs(config: RunConfig) -> Iterable[Problem]:
    """Batches hold whole pairs."""
    train = config.train
    if train.per_device_batch_size % 2:
        message = f"{train.per_device_batch_size} completions are no whole pairs"
        yield Problem("train.per_device_batch_size", message, hint="use an even number")
    if train.beta == 0:
        yield Problem("train.beta", "with 0 the loss does not depend on the policy")


def _check_adapter(config: RunConfig) -> Iterable[Problem]:
    for problem in contradictions.check_adapter_reference(config, "beta"):
        yield replace(problem, hint=problem.hint.partition(",")[0])  # there is always a reference


def online_dpo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of online DPO, given the fields of the model section."""
    own = ("train.cliprange_high", "train.per_device_batch_size", "train.num_generations")
    checks: tuple[Check, ...] = (
        *checking.checks(LOSSES),
        _check_pairs,
        _check_adapter,
        partial(contradictions.check_reference, weight="beta"),
        batch.check_rollout,
        batch.check_eval_groups,
        batch.check_lengths,
        batch.check_resumable,
        batch.check_checkpoints,
        batch.check_processes,
    )
    bends = tuple((path, bend) for path, bend in GRPO_BENDS if path not in own)
    return ParameterTable(online_dpo_uses(model), bends, checks, batch.grpo_lines, (check_machine,))
