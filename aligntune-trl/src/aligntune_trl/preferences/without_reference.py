"""Where every field goes in ORPO and SimPO, which learn from pairs without a reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aligntune.errors import Problem
from aligntune.plan.parameters import Check, Fixed, Ours, ParameterTable, Refused, To, Use
from aligntune_trl.fields import batch, checking, contradictions
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.rewards import REWARD_USES
from aligntune_trl.fields.training import trainer_uses
from aligntune_trl.preferences.parameters import PREFERENCE_BENDS, completed_uses, measured_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = ["orpo_table", "simpo_table"]

_NONE = Refused("there is no reference: the loss compares two completions under the policy itself")


def _uses(owner: str, model: dict[str, Use]) -> dict[str, Use]:
    """The rows that both have."""

    def to(argument: str, **more: Any) -> To:
        return To(argument, owner, **more)

    return trainer_uses(owner, model) | {
        "model.max_seq_length": to("max_length", drop_none=True),
        "model.sft_path": Ours("what the policy starts from"),
        "model.disable_dropout": to("disable_dropout"),
        "model.use_logits_to_keep": Refused("TRL computes the logits of prompts too"),
        "model.ref_model_init_kwargs": _NONE,
        "model.force_use_ref_model": _NONE,
        "train.reference_free": Fixed((True,), "there is no reference"),
        "train.sync_ref_model": _NONE,
        "train.ref_model_mixup_alpha": _NONE,
        "train.ref_model_sync_steps": _NONE,
        "train.precompute_ref_log_probs": _NONE,
        "train.precompute_ref_batch_size": _NONE,
        "train.beta": to("beta"),
        "train.truncation_mode": Fixed(("keep_start",), "over-long pairs are cut at their end"),
        "train.max_prompt_length": Ours("longer prompts are left out, and counted"),
        "train.max_target_length": Ours("longer completions are cut, and counted"),
        "train.dataset_num_proc": to("dataset_num_proc"),
        "train.remove_unused_columns": Fixed((False,), "TRL's collator takes pairs as they are"),
        "train.group_by_length": Fixed((False,), "TRL does not know a pair's length"),
        **completed_uses(),
        **measured_uses(),
        **REWARD_USES,
        "rewards.*": Ours("scores of the completions that are written down; not trained on"),
    }


def orpo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of ORPO, given the fields of the model section."""
    return _uses("ORPOConfig", model) | {
        "train.loss_type": Refused("ORPO has one loss"),
        "train.completion_only_loss": Ours(
            "whether the likelihood loss leaves out the tokens of prompts; unset, yes"
        ),
    }


def simpo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of SimPO, given the fields of the model section."""
    return _uses("CPOConfig", model) | {
        "train.loss_type": Fixed(("simpo",), "SimPO has one loss"),
        "train.simpo_gamma": To("simpo_gamma", "CPOConfig"),
        "train.label_smoothing": To("label_smoothing", "CPOConfig"),
    }


def _check_beta(config: RunConfig) -> Iterable[Problem]:
    if config.train.beta == 0:
        yield Problem("train.beta", "with 0 the loss does not compare chosen and rejected")


def _check_measured(config: RunConfig) -> Iterable[Problem]:
    if config.evaluation.dpo_eval_enabled and not config.has_evaluation_data:
        message = "there is no data to evaluate on"
        hint = "set `eval_datasets: [{name: ...}]`"
        yield Problem("evaluation.dpo_eval_enabled", message, hint=hint)


def _table(uses: dict[str, Use]) -> ParameterTable:
    checks: tuple[Check, ...] = (
        *checking.checks(),
        _check_beta,
        _check_measured,
        contradictions.check_reference,
        batch.check_checkpoints,
        batch.check_processes,
    )
    return ParameterTable(uses, PREFERENCE_BENDS, checks, batch.sft_lines, (check_machine,))


def orpo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of ORPO, given the fields of the model section."""
    return _table(orpo_uses(model))


def simpo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of SimPO, given the fields of the model section."""
    return _table(simpo_uses(model))
