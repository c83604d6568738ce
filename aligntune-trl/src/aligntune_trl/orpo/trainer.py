"""Odds ratio preference optimization on TRL's ORPOTrainer (Hong et al. 2024, arXiv 2403.07691)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import RLTrainerBase
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy
from aligntune_trl.preferences.trainer import PairTrainer

if TYPE_CHECKING:
    from transformers import Trainer

__all__ = ["ORPOTrainer"]


class ORPOTrainer(PairTrainer, RLTrainerBase):
    """Learns to say what was chosen, at better odds than what was rejected; without a reference.

    With p the geometric mean of the probabilities of a completion's tokens, and its odds p / (1 -
    p), the loss is the negative log-likelihood of the chosen completion minus beta log sigmoid of
    the log-ratio of the odds.
    """

    owner = "ORPOConfig"
    stays = "keep_start"

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        from aligntune_trl.experimental import experimental
        from aligntune_trl.preferences.loop import ANY_LENGTH, OddsRatioTrainer

        assert self.data is not None
        train = self.config.train
        limit = arguments.get("max_length")
        arguments |= {"max_length": limit or ANY_LENGTH, "remove_unused_columns": False}
        return OddsRatioTrainer(
            of_prompts=train.completion_only_loss is False,
            longest=train.max_target_length,
            limit=limit,
            model=policy.model,
            args=build_config(experimental("orpo").ORPOConfig, arguments),
            train_dataset=self.data.rows,
            eval_dataset=None if self.eval_data is None else self.eval_data.rows,
            processing_class=policy.tokenizer,
            peft_config=policy.peft,
            callbacks=callbacks,
        )
