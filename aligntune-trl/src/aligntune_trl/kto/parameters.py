"""Where every field goes in Kahneman-Tversky optimization on TRL's KTOTrainer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aligntune.errors import Problem
from aligntune.plan.parameters import Fixed, Ours, ParameterTable, Refused, To, Use, When
from aligntune_trl.fields import batch, checking, contradictions
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.rewards import REWARD_USES
from aligntune_trl.fields.training import trainer_uses
from aligntune_trl.preferences.parameters import PREFERENCE_BENDS, completed_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = ["kto_table"]

LOSSES = ("kto", "apo_zero_unpaired")
_SYNC = When("train.sync_ref_model", (True,))
_PRECOMPUTED = When("train.precompute_ref_log_probs", (True,))


def _loss(value: str | list[str] | None) -> str | list[str]:
    return "kto" if value is None else value


def kto_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of KTO, given the fields of the model section."""

    def to(argument: str, **more: Any) -> To:
        return To(argument, "KTOConfig", **more)

    return trainer_uses("KTOConfig", model) | {
        "model.max_seq_length": to("max_length"),
        "model.sft_path": Ours("what the policy, and with it the reference, starts from"),
        "model.disable_dropout": to("disable_dropout"),
        "model.use_logits_to_keep": Fixed((True,), "TRL reads no other logits"),
        "model.ref_model_init_kwargs": Ours("the reference's from_pretrained"),
        "model.force_use_ref_model": Ours("whether a reference is loaded beside an adapter"),
        "train.beta": to("beta"),
        "train.loss_type": to("loss_type", convert=_loss),
        "train.desirable_weight": to("desirable_weight"),
        "train.undesirable_weight": to("undesirable_weight"),
        "train.sync_ref_model": to("sync_ref_model"),
        "train.ref_model_mixup_alpha": to("ref_model_mixup_alpha", when=_SYNC),
        "train.ref_model_sync_steps": to("ref_model_sync_steps", when=_SYNC),
        "train.precompute_ref_log_probs": to("precompute_ref_log_probs"),
        "train.precompute_ref_batch_size": to("precompute_ref_batch_size", when=_PRECOMPUTED),
        "train.data_seed": Ours("the order of the rows, which is that of every pass"),
        "train.truncation_mode": Fixed(("keep_start",), "TRL's KTOTrainer cuts at the end"),
        "train.pad_to_multiple_of": to("pad_to_multiple_of"),
        "train.max_prompt_length": Ours("longer prompts are left out, and counted"),
        "train.max_target_length": Ours("longer completions are cut, and counted"),
        "train.dataset_num_proc": to("dataset_num_proc", drop_none=True),
        "train.activation_offloading": to("activation_offloading"),
        "train.remove_unused_columns": to("remove_unused_columns"),
        "train.group_by_length": Fixed(
            (False,), "a batch lends each prompt the completion of another, so its rows are fixed"
        ),
        "evaluation.dpo_eval_enabled": Refused(
            "it compares two completions of a prompt, and a row here has one"
        ),
        **completed_uses(),
        **REWARD_USES,
        "rewards.*": Ours("scores of the completions that are written down; not trained on"),
    }


def _check_batch(config: RunConfig) -> Iterable[Problem]:
    """A batch has two rows, so that a prompt can be lent the completion of another."""
    if config.train.per_device_batch_size < 2 and config.train.loss_type in (None, "kto"):
        message = "the baseline of KTO needs the completion of another prompt in the batch"
        yield Problem("train.per_device_batch_size", message, hint="use 2 or more")


def _check_loss(config: RunConfig) -> Iterable[Problem]:
    train = config.train
    if train.beta == 0:
        yield Problem("train.beta", "with 0 the loss does not depend on the policy")
    if train.desirable_weight == train.undesirable_weight == 0:
        yield Problem("train.desirable_weight", "with both weights 0 there is no loss")
    if train.sync_ref_model and train.precompute_ref_log_probs:
        message = "log-probabilities that are computed once are those of a reference that stays"
        yield Problem("train.sync_ref_model", message, hint="keep one of the two")


def kto_table(model: dict[str, Use]) -> ParameterTable:
    """The table of KTO, given the fields of the model section."""
    checks = (
        *checking.checks(LOSSES),
        _check_batch,
        _check_loss,
        contradictions.check_reference,
        batch.check_checkpoints,
        batch.check_processes,
    )
    return ParameterTable(
        kto_uses(model), PREFERENCE_BENDS, checks, batch.sft_lines, (check_machine,)
    )
