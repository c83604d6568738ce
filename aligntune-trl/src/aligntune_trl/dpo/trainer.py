"""Direct preference optimization on TRL's DPOTrainer (Rafailov et al. 2023, arXiv 2305.18290)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import RLTrainerBase
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy
from aligntune_trl.dpo.loss import weighed
from aligntune_trl.preferences.reference import own_reference
from aligntune_trl.preferences.trainer import PairTrainer

if TYPE_CHECKING:
    from transformers import Trainer

__all__ = ["DPOTrainer"]


class DPOTrainer(PairTrainer, RLTrainerBase):
    """Learns from pairs of completions of which one was preferred.

    The implicit reward of a completion is beta times its log-ratio, policy over reference; the loss
    is -log sigmoid of the difference between chosen and rejected. The reference is the model that
    training starts from: with an adapter, the model without it.
    """

    owner = "DPOConfig"

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        from aligntune_trl.dpo.loop import PreferenceTrainer

        assert self.data is not None
        train = self.config.train
        losses = weighed(train)
        arguments |= {"loss_type": list(losses), "loss_weights": list(losses.values())}
        if train.reference_free:  # log-probabilities that are known beforehand: zero
            arguments["precompute_ref_log_probs"] = True
        return PreferenceTrainer(
            longest=train.max_target_length,
            reference_free=train.reference_free,
            model=policy.model,
            ref_model=own_reference(self.plan, policy),
            args=_config(arguments),
            train_dataset=self.data.rows,
            eval_dataset=None if self.eval_data is None else self.eval_data.rows,
            processing_class=policy.tokenizer,
            peft_config=policy.peft,
            callbacks=callbacks,
        )


def _config(arguments: dict[str, Any]) -> Any:
    import trl

    with warnings.catch_warnings():  # the releases that may be installed have it
        warnings.filterwarnings("ignore", "The `'keep_end'` truncation mode", FutureWarning)
        return build_config(trl.DPOConfig, arguments)
