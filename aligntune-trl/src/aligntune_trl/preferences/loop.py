"""TRL's trainers of pairs that need no reference model, on the rows that its DPOTrainer would make.

Imported only once the backend is prepared: Unsloth patches what is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from aligntune_trl.dpo.loop import cut
from aligntune_trl.experimental import experimental
from aligntune_trl.preferences.tokens import collatable, tokenized, with_a_difference

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    _Trainer = Any
else:
    _Trainer = object

__all__ = ["MarginTrainer", "OddsRatioTrainer"]

# The odds of a completion of probability 1 are infinite, and their gradient is not a number. This
# is the largest mean log-probability whose odds float32 still tells apart from those.
NEAREST_TO_CERTAIN = -1e-6
ANY_LENGTH = 2**31 - 1  # where TRL would take None for 512


class _Pairs(_Trainer):  # type: ignore[misc]
    """What both have in common; stands before TRL's trainer.

    Args:
        longest: of a completion, in tokens; longer ones are cut. None cuts none.
        limit: of prompt and completion together; what is longer is cut at its end.
        further: TRL's own.

    Raises:
        DataError: if no pair is left.
    """

    beta: float

    def __init__(self, *, longest: int | None, limit: int | None, **further: Any) -> None:
        self.longest, self.limit = longest, limit
        rows, held_out = further.pop("train_dataset"), further.pop("eval_dataset")
        self._tokenizer = further["processing_class"]
        self._processes = further["args"].dataset_num_proc
        super().__init__(
            train_dataset=self._ready(rows),
            eval_dataset=None if held_out is None else self._ready(held_out),
            **further,
        )

    def _ready(self, rows: Dataset) -> Dataset:
        """Tokenize, cut completions, and leave out pairs without a difference."""
        found = tokenized(rows, self._tokenizer, self._processes)
        if self.longest is not None:
            found = cut(found, self.longest, ("chosen_ids", "rejected_ids"))
        return with_a_difference(found, len(rows), self.limit, "keep_start")

    def tokenize_row(self, feature: dict[str, Any], model: Any = None) -> dict[str, list[int]]:
        """Rows come here tokenized, and leave as the collator takes them."""
        return collatable(feature, self.limit)

    def implicit_rewards(self, pairs: Dataset) -> list[tuple[float, float]]:
        """The rewards beta (mean log-probability of a token) of each pair: (chosen, rejected)."""
        rows = self._ready(pairs).map(self.tokenize_row)
        found: list[tuple[float, float]] = []
        size = self.args.per_device_eval_batch_size
        for start in range(0, len(rows), size):
            some = [rows[i] for i in range(start, min(start + size, len(rows)))]
            batch = self._prepare_inputs(self.data_collator(some))
            with torch.no_grad(), self.compute_loss_context_manager():
                chosen, rejected = self.concatenated_forward(self.model, batch)[:2]
            both = (self.beta * chosen).tolist(), (self.beta * rejected).tolist()
            found.extend(zip(*both, strict=True))
        return found


class OddsRatioTrainer(_Pairs, experimental("orpo", tell=False).ORPOTrainer):  # type: ignore[misc]
    """ORPO, whose likelihood loss is that of the chosen completion given its prompt.

    Args:
        of_prompts: whether that loss is of the tokens of prompts too, as TRL and the authors' code
            have it; the paper has the completion alone (section 4.1).
        further: see `_Pairs`.
    """

    def __init__(self, *, of_prompts: bool, **further: Any) -> None:
        self.of_prompts = of_prompts
        super().__init__(**further)

    def concatenated_forward(self, model: Any, batch: dict[str, Any]) -> tuple[Any, ...]:
        found: tuple[Any, ...] = super().concatenated_forward(model, batch)
        if self.of_prompts:
            return found
        logits = found[2]
        labels = batch["chosen_labels"][:, 1:].to(logits.device)
        of_completion = torch.nn.functional.cross_entropy(
            logits[:, : labels.size(1)].transpose(1, 2), labels
        )
        return (*found[:4], of_completion, *found[5:])

    def odds_ratio_loss(self, chosen: Tensor, rejected: Tensor) -> Any:
        """TRL's, for mean log-probabilities of which none is that of a certain completion."""
        return super().odds_ratio_loss(
            chosen.clamp(max=NEAREST_TO_CERTAIN), rejected.clamp(max=NEAREST_TO_CERTAIN)
        )


class MarginTrainer(_Pairs, experimental("cpo", tell=False).CPOTrainer):  # type: ignore[misc]
    """SimPO, which is a loss of TRL's CPOTrainer."""
