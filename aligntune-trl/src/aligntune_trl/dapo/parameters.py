"""Where every field goes in DAPO: as in GRPO, with what it adds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aligntune.errors import Problem
from aligntune.plan.parameters import Fixed, Ours, ParameterTable, Use
from aligntune_trl.dapo.overlong import SHARE
from aligntune_trl.fields import batch
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.grpo.parameters import GRPO_BENDS, GRPO_CHECKS, grpo_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["dapo_table"]


def dapo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of DAPO, given the fields of the model section."""
    return grpo_uses(model) | {
        "train.loss_type": Fixed(
            ("dapo",),
            "DAPO takes one mean over all tokens of a batch; `algorithm: grpo` has other losses",
        ),
        "train.max_resampling": Ours("dynamic sampling: how often a batch is filled up, at most"),
        "train.overlong_cache_length": Ours("the soft overlong punishment, added to the reward"),
    }


def _default_cache(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    longest = config.train.max_completion_length
    return longest // SHARE, f"a fifth of the {longest} tokens of a completion, as in the paper"


def _check_cache(config: RunConfig) -> Iterable[Problem]:
    cache, longest = config.train.overlong_cache_length, config.train.max_completion_length
    if cache is not None and cache > longest:
        message = f"{cache} tokens of a completion that has at most {longest}"
        hint = f"use at most {longest}; the paper's share is {longest // SHARE}"
        yield Problem("train.overlong_cache_length", message, hint=hint)


def dapo_lines(config: RunConfig) -> list[str]:
    """The batch arithmetic of a DAPO run, in words."""
    *lines, end = batch.grpo_lines(config)
    rounds = config.train.max_resampling
    sampling = (
        f"groups whose completions are all equally right are replaced, up to {rounds} times"
        if rounds
        else "no group is replaced: `max_resampling` is 0"
    )
    return [*lines, sampling, end]


DAPO_BENDS = (*GRPO_BENDS, ("train.overlong_cache_length", _default_cache))
DAPO_CHECKS = (*GRPO_CHECKS, _check_cache)


def dapo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of DAPO, given the fields of the model section."""
    return ParameterTable(dapo_uses(model), DAPO_BENDS, DAPO_CHECKS, dapo_lines, (check_machine,))
