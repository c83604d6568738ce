"""What a language model expects: shared by `coherence` (after the prompt) and `fluency` (alone)."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune_rewards.checks import number
from aligntune_rewards.learned.inputs import batches, padded
from aligntune_rewards.learned.model_reward import ModelReward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune_rewards.learned.models import Kind

__all__ = ["LanguageModelReward", "first_token"]

logger = logging.getLogger("aligntune")

# Token ids of what is given, at least one, and of what is scored.
Row = tuple[list[int], list[int]]


@dataclass(eq=False, repr=False)
class LanguageModelReward(ModelReward):
    """A reward from the perplexity of the completion to a language model."""

    midpoint: float = 20.0
    enough: float = 5.0

    kind: ClassVar[Kind] = "language model"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("midpoint", "enough"):
            number(name, getattr(self, name))
        if not 0.0 < self.midpoint < math.inf:
            raise ValueError(f"midpoint is {self.midpoint}; it must be a finite number above 0")
        if not 0.0 <= self.enough < self.midpoint:
            raise ValueError(
                f"enough is {self.enough} and midpoint {self.midpoint}; enough must be at least 0 "
                "and below midpoint"
            )

    def expected(self, mean: float | None) -> float:
        """How expected a text with this mean log-probability is, from 0 to 1; 0 without tokens.

        NaN if that is NaN, as with a model whose numbers overflow.
        """
        if mean is None:
            return 0.0
        if math.isnan(mean):
            return mean
        # Beyond e^700 a number is infinite.
        over = max(0.0, math.exp(min(-mean, 700.0)) - self.enough)
        return 1.0 / (1.0 + over / (self.midpoint - self.enough))

    def mean_logs(self, rows: Sequence[Row]) -> list[float | None]:
        """Mean log-probability of each row's scored tokens, in nats; None where it has none."""
        import torch

        loaded = self.loaded
        if long := sum(len(before) + len(after) > self.longest for before, after in rows):
            logger.warning(
                "%s: %d of %d inputs are longer than %d tokens and were cut",
                self.said_by,
                long,
                len(rows),
                self.longest,
            )
        rows = [_cut(before, after, self.longest) for before, after in rows]
        found: list[float | None] = [None] * len(rows)
        lengths = [len(before) + len(after) for before, after in rows]
        for indices in batches(lengths, self.batch_size):
            inputs = padded([{"input_ids": [*rows[i][0], *rows[i][1]]} for i in indices], loaded)
            with torch.no_grad():
                logits = loaded.model(**inputs).logits
            for place, index in enumerate(indices):
                before, after = rows[index]
                if after:
                    # The logits at a place are of the token that follows it.
                    of = logits[place, len(before) - 1 : lengths[index] - 1].float()
                    wanted = torch.tensor(after, device=of.device)
                    logs = of.log_softmax(dim=-1).gather(1, wanted[:, None])
                    found[index] = float(logs.double().mean())
        return found


def first_token(tokenizer: Any) -> int:
    """The token before a text that stands alone."""
    begin = tokenizer.bos_token_id
    return int(tokenizer.pad_token_id if begin is None else begin)


def _cut(before: list[int], after: list[int], longest: int) -> Row:
    after = after[: longest - 1]
    return before[-(longest - len(after)) :], after
