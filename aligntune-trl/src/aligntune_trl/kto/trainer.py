"""Kahneman-Tversky optimization on TRL's KTOTrainer (Ethayarajh et al. 2024, arXiv 2402.01306)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import RLTrainerBase
from aligntune.errors import DataError
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy
from aligntune_trl.preferences.reference import own_reference
from aligntune_trl.preferences.trainer import PairTrainer
from aligntune_trl.preview.rows import Seen

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

__all__ = ["KTOTrainer", "judged"]


class KTOTrainer(PairTrainer, RLTrainerBase):
    """Learns from single completions, of which each was judged good or bad.

    With the log-ratio r = log policy - log reference of a completion and the baseline z, the mean
    log-ratio of mismatched completions but at least 0, the loss is
    weight (1 - sigmoid(beta (r - z))) where it was good, and with the sign turned where it was bad.

    Pairs are two judgements: chosen is good, rejected is bad.
    """

    owner = "KTOConfig"
    answers = "completion"
    stays = "keep_start"
    judgements = 0  # rows to train on, once pairs are split

    def prepare_data(self) -> None:
        super().prepare_data()
        assert self.data is not None
        seen = set(self.data.rows["label"])
        if len(seen) == 1:
            said, other = ("true", "false") if seen == {True} else ("false", "true")
            raise DataError(
                f"every label is {said}, so nothing tells good completions from bad ones; bring "
                f"rows whose `label` is {other} too, or use `algorithm: sft`"
            )
        train = self.config.train
        seed = train.seed if train.data_seed is None else train.data_seed
        # TRL keeps the order that it is given, because a batch lends each prompt the completion of
        # another; good and bad ones must be mixed, and the two of a pair apart.
        self.data.rows = self.data.rows.shuffle(seed=seed)

    def _arrange(self, rows: Dataset, *, trained: bool) -> Dataset:
        found = judged(rows)
        if trained:
            self.judgements = len(found)
        return found

    def measured(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Completions that were judged good; the others say what a policy should not give."""
        if "chosen" in rows[0]:
            return super().measured(rows)
        return [row for row in rows if row["label"]]

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        import trl

        from aligntune_trl.kto.loop import JudgementTrainer

        assert self.data is not None
        return JudgementTrainer(
            longest=self.config.train.max_target_length,
            model=policy.model,
            ref_model=own_reference(self.plan, policy),
            args=build_config(trl.KTOConfig, arguments | {"train_sampling_strategy": "sequential"}),
            train_dataset=self.data.rows,
            eval_dataset=None if self.eval_data is None else self.eval_data.rows,
            processing_class=policy.tokenizer,
            peft_config=policy.peft,
            callbacks=callbacks,
        )

    def _too_long(self) -> int | None:
        kept: Any = self.setup().train_dataset
        return self.judgements - len(kept)

    def rows_seen(self, rows: Dataset) -> list[Seen]:
        """Rows for `preview`; a pair is shown as the two judgements that it is trained on as."""
        split = judged(rows)
        found = super().rows_seen(split)
        if split is rows:
            return found
        return [
            Seen(
                (
                    *(replace(one, role="chosen") for one in good.sequences),
                    *(replace(one, role="rejected") for one in bad.sequences),
                ),
                good.left_out and bad.left_out,
            )
            for good, bad in zip(found[::2], found[1::2], strict=True)
        ]


def judged(rows: Dataset) -> Dataset:
    """Rows of `prompt`, `completion` and `label`; those of pairs are split into two each."""
    if "chosen" not in rows.column_names:
        return rows
    others = [name for name in rows.column_names if name not in ("chosen", "rejected")]

    def split(some: dict[str, list[Any]]) -> dict[str, list[Any]]:
        pairs = zip(some["chosen"], some["rejected"], strict=True)
        return {
            **{name: [value for value in some[name] for _ in range(2)] for name in others},
            "completion": [text for pair in pairs for text in pair],
            "label": [True, False] * len(some["chosen"]),
        }

    return rows.map(split, batched=True, remove_columns=["chosen", "rejected"])
