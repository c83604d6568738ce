"""Reward modelling on TRL's RewardTrainer: a Bradley-Terry model of which completion is preferred.

(Bradley and Terry 1952; Ouyang et al. 2022, arXiv 2203.02155, equation 1.) The formula is checked
in `tests/trl/test_reward_modeling_loss.py`; how texts are read is in `reward_reading`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import RLTrainerBase
from aligntune.errors import ConfigError, DataError
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Head, Policy
from aligntune_trl.base import TRLTrainer
from aligntune_trl.reward_modeling.reading import pair_metrics, scores, tokens_of

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from aligntune.data import Prepared
    from aligntune.evaluation import Metric
    from aligntune_trl.preview.rows import Seen

__all__ = ["RewardModelTrainer"]

logger = logging.getLogger("aligntune")

MARGIN = "margin"


class RewardModelTrainer(TRLTrainer, RLTrainerBase):
    """Learns from pairs of completions of which one was preferred to give each of them a number.

    The loss is -log sigmoid(r(chosen) - r(rejected) - margin), where a column `margin` says how
    much better the chosen one is; without the column it is 0.
    """

    owner = "RewardConfig"

    @property
    def head(self) -> Head:
        return Head("SEQ_CLS", labels=1)

    def prepare_data(self) -> None:
        super().prepare_data()
        for prepared in filter(None, (self.data, self.eval_data)):
            check_margins(prepared)
            if isinstance(prepared.rows[0]["chosen"], str) and self.tokenizer.eos_token is None:
                raise DataError(
                    "rows of text end with the tokenizer's end-of-sequence token, and it has none; "
                    "bring rows of messages, or a tokenizer that has one"
                )

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        import trl

        assert self.data is not None
        # What a reward of this model gives it to read, see `aligntune_rewards.learned.inputs`.
        chat = not isinstance(self.data.rows[0]["chosen"], str)
        policy.tokenizer.init_kwargs["reward_inputs"] = "chat" if chat else "text"
        model: Any = policy.model
        if policy.peft is not None:
            # Here, TRL would draw the adapter's weights from the seed that the head was drawn from.
            from peft import get_peft_model

            model = get_peft_model(model, policy.peft)
        trainer = trl.RewardTrainer(
            model=model,
            args=build_config(trl.RewardConfig, arguments),
            train_dataset=self.data.rows,
            eval_dataset=None if self.eval_data is None else self.eval_data.rows,
            processing_class=policy.tokenizer,
            callbacks=callbacks,
        )
        self._report_left_out("train", self.data, trainer.train_dataset)
        if self.eval_data is not None:
            self._report_left_out("evaluate", self.eval_data, trainer.eval_dataset)
        return trainer

    def _report_left_out(self, purpose: str, given: Prepared, kept: Any) -> None:
        """TRL leaves out pairs of which one side is too long.

        Raises:
            DataError: if none is left.
        """
        count = len(given.rows)
        if len(kept) == count:
            return
        limit = self.config.model.max_seq_length
        said = f"of {count - len(kept)} of {count} pairs to {purpose} on, a side is longer than "
        said += f"{limit} tokens"
        if len(kept) == 0:
            raise DataError(f"{said}; raise `model.max_seq_length`")
        logger.warning("%s: they are left out", said)

    def rows_seen(self, rows: Dataset) -> list[Seen]:
        limit = self.config.model.max_seq_length
        said = f"the chosen or the rejected is longer than {limit} tokens"
        found = super().rows_seen(rows)
        return [replace(one, left_out=said) if one.left_out else one for one in found]

    def measure(self, when: str) -> list[Metric]:
        """Accuracy and mean margin on the evaluation data, before and after training."""
        found = super().measure(when)
        if when == "during" or self.eval_data is None:
            return found
        metrics = pair_metrics(self.setup())
        self.write_metrics(when, metrics)
        return found + metrics

    def predict(self, prompts: Sequence[Any], **generation: Any) -> list[Any]:
        """The reward of each text, in order: a list of numbers.

        Args:
            prompts: what is to be judged: texts (a prompt with its completion), or lists of chat
                messages that end with the answer. What is longer than `model.max_seq_length` loses
                its beginning.
            generation: none; nothing is generated.

        Raises:
            ConfigError: for one string in place of a list, or arguments of generation.
        """
        if isinstance(prompts, str):
            raise ConfigError(f"predict takes a list of texts, not the one string {prompts!r}")
        if generation:
            raise ConfigError(
                f"a reward model generates nothing: leave out {', '.join(generation)}"
            )
        trainer = self.setup()
        limit = self.config.model.max_seq_length
        rows = [tokens_of(self.tokenizer, text, limit) for text in prompts]
        return scores(trainer, rows)


def check_margins(prepared: Prepared) -> None:
    """Refuse a column `margin` that does not hold one finite number for each pair.

    Raises:
        DataError: names the first that is none.
    """
    if MARGIN not in prepared.rows.column_names:
        return
    for index, value in enumerate(prepared.rows[MARGIN]):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise DataError(
                f"the column 'margin' says how much better the chosen is, and pair {index} has "
                f"{value!r}; give every pair a number, or name the column otherwise"
            )
