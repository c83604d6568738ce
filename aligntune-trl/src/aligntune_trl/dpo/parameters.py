"""Where every field goes in direct preference optimization on TRL's DPOTrainer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aligntune.errors import Problem
from aligntune.plan.parameters import Fixed, Ours, ParameterTable, Refused, To, Use, When
from aligntune_trl.dpo.loss import check_losses
from aligntune_trl.fields import batch, checking, contradictions
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.rewards import REWARD_USES
from aligntune_trl.fields.training import trainer_uses
from aligntune_trl.preferences.parameters import PREFERENCE_BENDS, completed_uses, measured_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = ["dpo_table"]

_SYNC = When("train.sync_ref_model", (True,))
_ALPHA = When("train.f_divergence_type", ("alpha_divergence",))
_PRECOMPUTED = When("train.precompute_ref_log_probs", (True,))
_SCORES = Ours("scores of the completions that are written down; not trained on")


def dpo_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of DPO, given the fields of the model section."""

    def to(argument: str, **more: Any) -> To:
        return To(argument, "DPOConfig", **more)

    return trainer_uses("DPOConfig", model) | {
        "model.max_seq_length": to("max_length"),
        "model.sft_path": Ours("what the policy, and with it the reference, starts from"),
        "model.disable_dropout": to("disable_dropout"),
        "model.use_logits_to_keep": Fixed((True,), "TRL reads no other logits"),
        "model.ref_model_init_kwargs": Ours("the reference's from_pretrained"),
        "model.force_use_ref_model": Ours("whether a reference is loaded beside an adapter"),
        "train.beta": to("beta"),
        "train.loss_type": Ours("DPOConfig.loss_type"),
        "train.loss_weights": Ours("DPOConfig.loss_weights"),
        "train.label_smoothing": to("label_smoothing"),
        "train.rpo_alpha": Ours("DPOConfig.loss_weights: the weight of the loss sft"),
        "train.f_divergence_type": to("f_divergence_type"),
        "train.f_alpha_divergence_coef": to("f_alpha_divergence_coef", when=_ALPHA),
        "train.reference_free": Ours("a reference log-probability of 0; no reference is loaded"),
        "train.use_weighting": to("use_weighting"),
        "train.ld_alpha": to("ld_alpha"),
        "train.discopop_tau": to("discopop_tau"),
        "train.sync_ref_model": to("sync_ref_model"),
        "train.ref_model_mixup_alpha": to("ref_model_mixup_alpha", when=_SYNC),
        "train.ref_model_sync_steps": to("ref_model_sync_steps", when=_SYNC),
        "train.precompute_ref_log_probs": to("precompute_ref_log_probs"),
        "train.precompute_ref_batch_size": to("precompute_ref_batch_size", when=_PRECOMPUTED),
        "train.truncation_mode": to("truncation_mode"),
        "train.pad_to_multiple_of": to("pad_to_multiple_of"),
        "train.max_prompt_length": Ours("longer prompts are left out, and counted"),
        "train.max_target_length": Ours("longer completions are cut, and counted"),
        "train.dataset_num_proc": to("dataset_num_proc", drop_none=True),
        "train.activation_offloading": to("activation_offloading"),
        "train.remove_unused_columns": to("remove_unused_columns"),
        "train.padding_free": Refused("TRL's DPOTrainer ignores it"),
        "train.group_by_length": Fixed((False,), "TRL's DPOTrainer does not know a pair's length"),
        **completed_uses(),
        **measured_uses(),
        **REWARD_USES,
        "rewards.*": _SCORES,
    }


def _check_reference(config: RunConfig) -> Iterable[Problem]:
    """One reference, which is there when it is needed."""
    model, train = config.model, config.train
    kept = {
        "train.precompute_ref_log_probs": train.precompute_ref_log_probs,
        "train.sync_ref_model": train.sync_ref_model,
        "model.force_use_ref_model": model.force_use_ref_model,
        "model.ref_model_init_kwargs": bool(model.ref_model_init_kwargs),
    }
    if train.reference_free:
        for path in (path for path, given in kept.items() if given):
            yield Problem(path, "there is no reference: `train.reference_free` is true")
        return
    if train.sync_ref_model and train.precompute_ref_log_probs:
        message = "log-probabilities that are computed once are those of a reference that stays"
        yield Problem("train.sync_ref_model", message, hint="keep one of the two")


def _check_measured(config: RunConfig) -> Iterable[Problem]:
    """The preference evaluation has data and a reference."""
    if not config.evaluation.dpo_eval_enabled:
        return
    path = "evaluation.dpo_eval_enabled"
    if not config.has_evaluation_data:
        message = "there is no data to evaluate on"
        yield Problem(path, message, hint="set `eval_datasets: [{name: ...}]`")
    if config.train.precompute_ref_log_probs and not config.model.peft_enabled:
        message = "with `train.precompute_ref_log_probs` no reference is kept to compare with"
        yield Problem(path, message, hint="keep one of the two")


def dpo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of DPO, given the fields of the model section."""
    checks = (
        *checking.checks(),
        check_losses,
        contradictions.check_reference,
        _check_reference,
        _check_measured,
        batch.check_checkpoints,
        batch.check_processes,
    )
    return ParameterTable(
        dpo_uses(model), PREFERENCE_BENDS, checks, batch.sft_lines, (check_machine,)
    )
