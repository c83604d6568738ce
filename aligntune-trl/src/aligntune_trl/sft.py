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

if TYPE_CHECKING:
    from datasets import IterableDataset
    from transformers import Trainer

__all__ = ["SFTTrainer"]

logger = logging.getLogger("aligntune")


class SFTTrainer(TRLTrainer, SFTTrainerBase):
    """Trains on prompts with completions, chats or text: mean negative log-likelihood of tokens."""

    owner = "SFTConfig"
    _reached: Reached | None = None

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        import trl

        from aligntune_trl.sft_loop import LabelledTrainer

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
        elif not self.config.train.packing:
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

    def _too_long(self) -> int | None:
        return super()._too_long() if self._reached is None else self._reached.too_long

    def _report_cut(self, given: int, kept: int) -> None:
        """TRL leaves out rows of which nothing to train on is left once they are cut.

        Raises:
            DataError: if none is left.
        """
        if kept == given:
            return
        limit = self.config.model.max_seq_length
        said = f"of {given - kept} of {given} rows nothing to train on fits into {limit} tokens"
        if kept == 0:
            raise DataError(f"{said}; raise `model.max_seq_length`")
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
