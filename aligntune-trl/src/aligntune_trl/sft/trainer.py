"""Supervised fine-tuning on TRL's SFTTrainer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import SFTTrainerBase
from aligntune.data.mix import columns_of
from aligntune.errors import DataError
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy
from aligntune_trl.base import TRLTrainer
from aligntune_trl.generation import prompt_length

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset
    from transformers import Trainer

__all__ = ["SFTTrainer"]

logger = logging.getLogger("aligntune")


class SFTTrainer(TRLTrainer, SFTTrainerBase):
    """Trains on prompts with completions, chats or text: mean negative log-likelihood of tokens."""

    owner = "SFTConfig"
    _reached: Reached | None = None

    def prepare_data(self) -> None:
        super().prepare_data()
        self._check_room()

    def _check_room(self) -> None:
        """Look for a prompt that leaves room to train on its completion, before the model loads.

        Raises:
            DataError: if there is none.
        """
        assert self.data is not None
        train, limit = self.config.train, self.config.model.max_seq_length
        cut_behind = (
            train.truncation_mode == "keep_start" and train.completion_only_loss is not False
        )
        if limit is None or train.packing or not cut_behind:
            return
        streams = any(config.streams for config in self.config.datasets)
        if streams or "prompt" not in columns_of(self.data.rows):
            return
        prompts = self.data.rows["prompt"]
        if all(prompt_length(self.tokenizer, prompt, {}) >= limit for prompt in prompts):
            raise DataError(self._nothing_fits(len(prompts), len(prompts)))

    def _nothing_fits(self, count: int, rows: int) -> str:
        limit = self.config.model.max_seq_length
        said = f"of {count} of {rows} rows nothing to train on fits into {limit} tokens"
        return f"{said}; raise `model.max_seq_length`" if count == rows else said

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        import trl

        from aligntune_trl.sft.loop import LabelledTrainer

        assert self.data is not None
        columns = columns_of(self.data.rows)
        streams = any(config.streams for config in self.config.datasets)
        rows: Any = self.data.rows
        if streams:
            rows = rows.map(_numbered, with_indices=True)
        eval_rows = None if self.eval_data is None else self.eval_data.rows.select_columns(columns)
        trainer = LabelledTrainer(
            model=policy.model,
            args=build_config(trl.SFTConfig, arguments),
            train_dataset=rows,
            eval_dataset=eval_rows,
            processing_class=policy.tokenizer,
            peft_config=policy.peft,
            callbacks=callbacks,
        )
        kept: Any = trainer.train_dataset
        if streams:
            self._check_first(kept)
            if not self.config.train.packing:  # a packed row has no number
                self._reached = Reached()
                trainer.train_dataset = kept.map(self._reached)
        elif self.config.train.packing:
            self._check_packed(kept)
        else:
            self._report_cut(len(self.data.rows), len(kept))
        return trainer

    def _check_first(self, rows: IterableDataset) -> None:
        """A stream of which nothing fits would train on nothing.

        Raises:
            DataError: if there is no row to train on in it.
        """
        if next(iter(rows), None) is None:
            limit = self.config.model.max_seq_length
            raise DataError(
                f"of no row anything to train on fits into {limit} tokens; raise "
                "`model.max_seq_length`"
            )

    def _check_packed(self, rows: Dataset) -> None:
        """Packed rows keep what is not trained on; where they keep nothing else, say so.

        Raises:
            DataError: if no packed row has a token to train on.
        """
        from aligntune_trl.sft.loop import IGNORED

        assert self.data is not None
        if "labels" not in rows.column_names:  # where Unsloth packs, every token is trained on
            return
        if not any(label != IGNORED for labels in rows["labels"] for label in labels):
            count = len(self.data.rows)
            raise DataError(self._nothing_fits(count, count))

    def _too_long(self) -> int | None:
        return super()._too_long() if self._reached is None else self._reached.too_long

    def _report_cut(self, given: int, kept: int) -> None:
        """TRL leaves out rows of which nothing to train on is left once they are cut.

        Raises:
            DataError: if none is left.
        """
        if kept == given:
            return
        said = self._nothing_fits(given - kept, given)
        if kept == 0:
            raise DataError(said)
        logger.warning("%s: they are left out", said)


_NUMBER = "aligntune_row"


def _numbered(row: dict[str, Any], index: int) -> dict[str, Any]:
    return {_NUMBER: index}


class Reached:
    """Counts the rows of a stream that reach training; of those between, nothing was left."""

    def __init__(self) -> None:
        self._last = -1
        self._passed = 0

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if row[_NUMBER] > self._last:  # a stream is gone through more than once
            self._last = row[_NUMBER]
            self._passed += 1
        return row

    @property
    def too_long(self) -> int:
        """How many rows, up to the last that was reached, were left out."""
        return self._last + 1 - self._passed
