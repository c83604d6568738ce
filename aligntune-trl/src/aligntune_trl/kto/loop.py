"""TRL's KTOTrainer, with counted lengths and a completion of another prompt in every batch.

Imported only once the backend is prepared: Unsloth puts a trainer of its own in the place of TRL's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import trl
from accelerate.utils import is_peft_model

from aligntune.errors import DataError
from aligntune_trl.dpo.loop import computed_anew, cut
from aligntune_trl.moving_reference import MovingReference

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["JudgementTrainer"]

logger = logging.getLogger("aligntune")


class JudgementTrainer(MovingReference, trl.KTOTrainer):
    """TRL's KTOTrainer on completions of which something is left to learn from.

    Args:
        longest: of a completion, in tokens; longer ones are cut. None cuts none.
        further: TRL's own.

    Raises:
        DataError: if no completion is left.
    """

    def __init__(self, *, longest: int | None, **further: Any) -> None:
        self.longest = longest
        super().__init__(**further)
        # TRL copies an adapter that the policy brings. Here it is new, and without it the policy is
        # the reference, so that a copy would only be saved with the model.
        policy: Any = self.model
        if is_peft_model(policy) and "ref" in policy.peft_config:
            policy.delete_adapter("ref")

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, name: str) -> Any:
        """Tokenize as TRL does, cut completions, and lend the last prompt one of another row."""
        rows = super()._prepare_dataset(dataset, processing_class, args, name)
        if len(rows) == 0:
            raise DataError(
                f"of all {len(dataset)} prompts nothing behind them fits into {args.max_length} "
                "tokens; raise `model.max_seq_length`"
            )
        if self.calculate_KL:
            rows = _with_another_last(rows, args.per_device_train_batch_size)
        if self.longest is not None:
            also = ("KL_completion_ids",) if self.calculate_KL else ()
            rows = cut(rows, self.longest, ("completion_ids",), *also)
        _count_cut(rows, args.max_length)
        return rows

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log as TRL does, with a margin wherever both kinds were seen.

        TRL's is of batches that hold both; an evaluation with one row in each has none of those.
        """
        policy: Any = self.model
        seen = self._metrics["train" if policy.training else "eval"]
        means = [_mean(seen.get(f"rewards/{kind}")) for kind in ("chosen", "rejected")]
        if means[0] is not None and means[1] is not None:
            seen["rewards/margins"] = [means[0] - means[1]]
        super().log(logs, start_time)

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        with computed_anew():
            return super()._precompute_ref_logps(dataset, name, batch_size)


def _with_another_last(rows: Dataset, batch: int) -> Dataset:
    """Rows of which the last, where it is a batch alone, borrows the completion before it.

    TRL gives it its own, with which the baseline would be its reward, and its loss a constant.
    """
    if len(rows) % batch != 1 or len(rows) == 1:
        return rows
    last, lent = len(rows) - 1, rows[len(rows) - 2]["completion_ids"]

    def borrow(row: dict[str, Any], index: int) -> dict[str, Any]:
        return {"KL_completion_ids": lent if index == last else row["KL_completion_ids"]}

    return rows.map(borrow, with_indices=True)


def _mean(values: list[float] | None) -> float | None:
    return sum(values) / len(values) if values else None


def _count_cut(rows: Dataset, limit: int | None) -> None:
    lengths = zip(rows["prompt_ids"], rows["completion_ids"], strict=True)
    long = sum(limit is not None and len(prompt) + len(said) > limit for prompt, said in lengths)
    if long:
        logger.warning(
            "cut %d of %d completions at their end, where they and their prompts reach %d tokens "
            "(`model.max_seq_length`)",
            long,
            len(rows),
            limit,
        )
