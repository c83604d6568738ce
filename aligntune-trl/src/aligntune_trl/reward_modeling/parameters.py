"""Where every field goes in reward modelling on TRL's RewardTrainer."""

from __future__ import annotations

from typing import Any

from aligntune.plan.parameters import CORE_USES, Fixed, Ours, ParameterTable, Refused, To, Use
from aligntune_trl.fields import batch, checking, contradictions
from aligntune_trl.fields.bends import BENDS, lora_dropout_stays, no_lora_dropout
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.training import trainer_uses

__all__ = ["reward_modeling_table"]

_SILENT = Refused("a reward model gives numbers, and completes no prompts")
_EVALUATED = {
    path: _SILENT
    for path in ("evaluation.*", *CORE_USES)
    if path.startswith("evaluation.") and path != "evaluation.before_training"
}


def reward_modeling_uses(model: dict[str, Use]) -> dict[str, Use]:
    """The rows of reward modelling, given the fields of the model section."""

    def to(argument: str, **more: Any) -> To:
        return To(argument, "RewardConfig", **more)

    return (
        trainer_uses("RewardConfig", model)
        | _EVALUATED
        | {
            "evaluation.before_training": Ours("accuracy and margin before training, too"),
            "logging.sample_logging.*": _SILENT,
            "logging.sample_logging.enabled": _SILENT,
            "model.max_seq_length": to("max_length"),
            "model.sft_path": Ours("what the reward model starts from"),
            "model.disable_dropout": to("disable_dropout"),
            "model.num_labels": Fixed((None, 1), "a reward model gives one number"),
            "train.center_rewards_coefficient": to("center_rewards_coefficient"),
            "train.pad_to_multiple_of": to("pad_to_multiple_of"),
            "train.dataset_num_proc": to("dataset_num_proc", drop_none=True),
            "train.activation_offloading": to("activation_offloading"),
            "train.remove_unused_columns": to("remove_unused_columns"),
            "train.group_by_length": Fixed(
                (False,), "TRL's RewardTrainer does not know a pair's length"
            ),
            "train.truncation_mode": Refused(
                "nothing is cut: a pair is left out where a side is longer than "
                "`model.max_seq_length`"
            ),
            "rewards.*": Refused("it learns from pairs, not from rewards"),
        }
    )


BEFORE = (
    ("model.disable_dropout", lora_dropout_stays),
    ("model.lora_dropout", no_lora_dropout),
)


def reward_modeling_table(model: dict[str, Use]) -> ParameterTable:
    """The table of reward modelling, given the fields of the model section."""
    checks = (
        *checking.checks(),
        contradictions.check_reference,
        batch.check_checkpoints,
        batch.check_processes,
    )
    return ParameterTable(
        reward_modeling_uses(model), (*BEFORE, *BENDS), checks, batch.sft_lines, (check_machine,)
    )
