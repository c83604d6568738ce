"""Where every field goes in supervised fine-tuning on TRL's SFTTrainer."""

from __future__ import annotations

from typing import Any

from aligntune.plan.parameters import CORE_USES, ParameterTable, Refused, To, Use, When
from aligntune_trl.fields import batch, checking, contradictions
from aligntune_trl.fields.bends import BENDS
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.training import trainer_uses

__all__ = ["sft_table"]

_PACKING = When("train.packing", (True,))


def _sampling(by_length: bool) -> str:
    return "group_by_length" if by_length else "random"


def sft_table(model: dict[str, Use]) -> ParameterTable:
    """The table of SFT, given the fields of the model section."""

    def to(argument: str, **more: Any) -> To:
        return To(argument, "SFTConfig", **more)

    uses: dict[str, Use] = trainer_uses("SFTConfig", model) | {
        "datasets.streaming": CORE_USES["datasets.streaming"],
        "model.max_seq_length": to("max_length"),
        "train.loss_type": to("loss_type"),
        "train.packing": to("packing"),
        "train.packing_strategy": to("packing_strategy", when=_PACKING),
        "train.eval_packing": to("eval_packing"),
        "train.pad_to_multiple_of": to("pad_to_multiple_of"),
        "train.completion_only_loss": to("completion_only_loss"),
        "train.assistant_only_loss": to("assistant_only_loss"),
        "train.label_smoothing_factor": to("label_smoothing_factor"),
        "train.truncation_mode": to("truncation_mode"),
        "train.padding_free": to("padding_free"),
        "train.dataset_kwargs": to("dataset_kwargs", convert=lambda value: value or None),
        "train.dataset_num_proc": to("dataset_num_proc"),
        "train.remove_unused_columns": to("remove_unused_columns"),
        "train.activation_offloading": to("activation_offloading"),
        "train.group_by_length": to("train_sampling_strategy", convert=_sampling),
        "rewards.*": Refused("SFT does not learn from rewards"),
    }
    checks = (
        *checking.checks(checking.SFT_LOSSES),
        contradictions.check_data_arguments,
        batch.check_checkpoints,
        batch.check_processes,
    )
    return ParameterTable(uses, BENDS, checks, batch.sft_lines, (check_machine,))
