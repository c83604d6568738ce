"""Coherence: how expected a completion is to a language model, given its prompt."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune_rewards.learned.inputs import batches, messages_of, padded, plain
from aligntune_rewards.learned.model_reward import ModelReward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.scoring import RewardBatch
    from aligntune_rewards.learned.models import Kind, Loaded

__all__ = ["CoherenceReward"]

logger = logging.getLogger("aligntune")


@dataclass(eq=False, repr=False)
class CoherenceReward(ModelReward):
    """How expected the completion is to a language model that has read the prompt.

    midpoint / (midpoint + perplexity), where the perplexity is exp(-(1/T) Σ log p(token | prompt,
    tokens before it)) over the T tokens of the completion; the same as sigmoid(mean log p +
    log midpoint). A completion without tokens earns 0. The default model is
    HuggingFaceTB/SmolLM2-135M-Instruct (English).

    Where the tokenizer has a chat template the prompt goes through it, otherwise the completion
    continues the prompt. Of what is too long for the model, the beginning of the prompt is left out
    first, then the end of the completion; the log counts that.

    Range: 0 to 1. Higher is better. Columns: none; the prompt is read. It does not see whether what
    is said is true, and text that repeats itself is expected.
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: a causal language model: a local folder, or the name of a model on the hub.
        midpoint: the perplexity that earns 0.5.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.
    """

    model: str = "HuggingFaceTB/SmolLM2-135M-Instruct"
    midpoint: float = 20.0

    name = "coherence"
    range = (0.0, 1.0)
    kind: ClassVar[Kind] = "language model"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.midpoint < math.inf:
            raise ValueError(f"midpoint is {self.midpoint}; it must be a finite number above 0")

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        means = self.mean_log_probs(batch)
        return [
            0.0 if mean is None else 1.0 / (1.0 + math.exp(-mean) / self.midpoint) for mean in means
        ]

    def mean_log_probs(self, batch: RewardBatch) -> list[float | None]:
        """Mean log-probability of each completion's tokens, in nats; None where it has none."""
        import torch

        loaded = self.loaded
        rows = [self._ids(batch, index, loaded) for index in range(len(batch))]
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

    def _ids(self, batch: RewardBatch, index: int, loaded: Loaded) -> tuple[list[int], list[int]]:
        """Token ids of the prompt, at least one, and of the completion."""
        tokenizer = loaded.tokenizer
        prompt: Any = "" if batch.prompts is None else batch.prompts[index]
        if tokenizer.chat_template is not None and prompt:
            text = tokenizer.apply_chat_template(
                messages_of(prompt, "user"), tokenize=False, add_generation_prompt=True
            )
            before = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        else:
            before = tokenizer(plain(prompt), verbose=False)["input_ids"]
        after = tokenizer(batch.texts[index], add_special_tokens=False, verbose=False)["input_ids"]
        return list(before) or [_first(tokenizer)], list(after)


def _first(tokenizer: Any) -> int:
    """The token before a text that stands alone."""
    begin = tokenizer.bos_token_id
    return int(tokenizer.pad_token_id if begin is None else begin)


def _cut(before: list[int], after: list[int], longest: int) -> tuple[list[int], list[int]]:
    after = after[: longest - 1]
    return before[-(longest - len(after)) :], after
