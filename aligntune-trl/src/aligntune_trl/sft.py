"""Supervised fine-tuning on TRL's SFTTrainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import SFTTrainerBase
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy
from aligntune_trl.base import TRLTrainer

if TYPE_CHECKING:
    from transformers import Trainer

__all__ = ["SFTTrainer"]


class SFTTrainer(TRLTrainer, SFTTrainerBase):
    """Trains on prompts with completions, chats or text: mean negative log-likelihood of tokens."""

    owner = "SFTConfig"

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        import trl

        assert self.data is not None
        if self.config.train.group_by_length:
            arguments["train_sampling_strategy"] = "group_by_length"
        columns = self.data.rows.column_names
        eval_rows = None if self.eval_data is None else self.eval_data.rows.select_columns(columns)
        return trl.SFTTrainer(
            model=policy.model,
            args=build_config(trl.SFTConfig, arguments),
            train_dataset=self.data.rows,
            eval_dataset=eval_rows,
            processing_class=policy.tokenizer,
            peft_config=policy.peft,
            callbacks=callbacks,
        )
