"""TRL's DPOTrainer, with what it lacks: counted lengths, no reference at all, rewards of any rows.

Imported only once the backend is prepared: Unsloth puts a trainer of its own in the place of TRL's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import trl
from accelerate.utils import is_peft_model

from aligntune_trl.moving_reference import MovingReference
from aligntune_trl.preferences.tokens import with_a_difference

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["PreferenceTrainer", "computed_anew", "cut"]

logger = logging.getLogger("aligntune")


class PreferenceTrainer(MovingReference, trl.DPOTrainer):
    """TRL's DPOTrainer on pairs of which something is left to learn from.

    Args:
        longest: of a completion, in tokens; longer ones are cut. None cuts none.
        reference_free: compare with a log-probability of 0 instead of a reference's.
        further: TRL's own.

    Raises:
        DataError: if no pair is left.
    """

    def __init__(self, *, longest: int | None, reference_free: bool, **further: Any) -> None:
        self.longest = longest
        self.reference_free = reference_free
        super().__init__(**further)
        # TRL copies an adapter that the policy brings. Here it is new, and without it the policy is
        # the reference, so that a copy would only be saved with the model.
        policy: Any = self.model
        if is_peft_model(policy) and "ref" in policy.peft_config:
            policy.delete_adapter("ref")

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, name: str) -> Any:
        """Tokenize as TRL does, cut completions, and leave out pairs without a difference."""
        rows = super()._prepare_dataset(dataset, processing_class, args, name)
        if self.longest is not None:
            rows = cut(rows, self.longest, ("chosen_ids", "rejected_ids"))
        return with_a_difference(rows, len(dataset), args.max_length, args.truncation_mode)

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        if not self.reference_free:
            with computed_anew():
                return super()._precompute_ref_logps(dataset, name, batch_size)
        for column in ("ref_chosen_logps", "ref_rejected_logps"):
            dataset = dataset.add_column(column, [0.0] * len(dataset))
        return dataset

    def implicit_rewards(self, pairs: Dataset) -> list[tuple[float, float]]:
        """The rewards beta (log policy - log reference) of each pair, as (chosen, rejected)."""
        rows = self._prepare_dataset(pairs, self.processing_class, self.args, "measured")
        found: list[tuple[float, float]] = []
        for start in range(0, len(rows), self.args.per_device_eval_batch_size):
            some = range(start, min(start + self.args.per_device_eval_batch_size, len(rows)))
            batch = self._prepare_inputs(self.data_collator([rows[i] for i in some]))
            ratios = self.beta * (self._policy(batch) - self._reference(batch))
            chosen, rejected = ratios.chunk(2)
            found.extend(zip(chosen.tolist(), rejected.tolist(), strict=True))
        return found

    def _policy(self, batch: dict[str, Any]) -> torch.Tensor:
        return self._log_probabilities(self.model, batch)

    def _reference(self, batch: dict[str, Any]) -> torch.Tensor:
        if self.reference_free:
            return torch.zeros(len(batch["input_ids"]), device=self.accelerator.device)
        if self.ref_model is not None:
            return self._log_probabilities(self.ref_model, batch)
        policy = self.accelerator.unwrap_model(self.model)
        with policy.disable_adapter():
            return self._log_probabilities(self.model, batch)

    def _log_probabilities(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Log-probability of each completion, summed over its tokens: shape (sequences,)."""
        ids = batch["input_ids"]
        with torch.no_grad(), self.compute_loss_context_manager():
            logits = model(input_ids=ids, attention_mask=batch["attention_mask"]).logits
        log_probabilities = logits[:, :-1].float().log_softmax(-1)
        of_tokens = log_probabilities.gather(2, ids[:, 1:, None]).squeeze(2)
        summed: torch.Tensor = (of_tokens * batch["completion_mask"][:, 1:]).sum(1)
        return summed


@contextmanager
def computed_anew() -> Iterator[None]:
    """Keep TRL from reading the log-probabilities of an earlier run.

    It files them by rows and weights alone, though they depend on lengths and `ld_alpha` too.
    """
    import datasets

    cached = datasets.is_caching_enabled()
    datasets.disable_caching()
    try:
        yield
    finally:
        if cached:
            datasets.enable_caching()


def cut(rows: Dataset, longest: int, names: tuple[str, ...], *more: str) -> Dataset:
    """Rows whose completions have at most `longest` tokens; how many are cut is logged.

    Args:
        rows: tokenized.
        longest: in tokens.
        names: columns of completions.
        more: columns that repeat those, and are cut without being counted.
    """

    def shortened(ids: list[list[int]]) -> list[list[int]]:
        return [some[:longest] for some in ids]

    long = sum(len(ids) > longest for name in names for ids in rows[name])
    if long:
        logger.warning(
            "cut %d of %d completions to %d tokens (`train.max_target_length`)",
            long,
            len(names) * len(rows),
            longest,
        )
    return rows.map(
        lambda some: {name: shortened(some[name]) for name in (*names, *more)}, batched=True
    )
