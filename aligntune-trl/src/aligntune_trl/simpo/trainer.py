"""Simple preference optimization on TRL's CPOTrainer (Meng et al. 2024, arXiv 2405.14734)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import RLTrainerBase
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy
from aligntune_trl.preferences.trainer import PairTrainer

if TYPE_CHECKING:
    from transformers import Trainer

__all__ = ["SimPOTrainer"]


class SimPOTrainer(PairTrainer, RLTrainerBase):
    """Learns from pairs of completions of which one was preferred, without a reference.

    The reward of a completion is beta times the mean log-probability of its tokens; the loss is
    -log sigmoid of the difference between chosen and rejected, less the margin gamma.
    """

    owner = "CPOConfig"
    stays = "keep_start"

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        from aligntune_trl.experimental import experimental
        from aligntune_trl.preferences.loop import ANY_LENGTH, MarginTrainer

        assert self.data is not None
        # CPO's likelihood loss and AlphaPO's rewards are none of SimPO.
        arguments |= {"loss_type": "simpo", "cpo_alpha": 0.0, "alpha": 0.0}
        limit = arguments.get("max_length")
        arguments |= {"max_length": limit or ANY_LENGTH, "remove_unused_columns": False}
        return MarginTrainer(
            longest=self.config.train.max_target_length,
            limit=limit,
            model=policy.model,
            args=build_config(experimental("cpo").CPOConfig, arguments),
            train_dataset=self.data.rows,
            eval_dataset=None if self.eval_data is None else self.eval_data.rows,
            processing_class=policy.tokenizer,
            peft_config=policy.peft,
            callbacks=callbacks,
        )
