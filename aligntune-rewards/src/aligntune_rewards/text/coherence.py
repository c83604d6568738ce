"""Coherence: how expected a completion is to a language model, given its prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune_rewards.learned.inputs import messages_of, plain
from aligntune_rewards.text.language_model import LanguageModelReward, first_token
from aligntune_rewards.text.variety import varied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.scoring import RewardBatch
    from aligntune_rewards.learned.models import Loaded

__all__ = ["CoherenceReward"]


@dataclass(eq=False, repr=False)
class CoherenceReward(LanguageModelReward):
    """How expected the completion is to a language model that has read the prompt.

    1 / (1 + max(0, perplexity - enough) / (midpoint - enough)), where the perplexity is
    exp(-(1/T) Σ log p(token | prompt, tokens before it)) over the T tokens of the completion. A
    completion without tokens earns 0. Nothing is earned by being more expected than `enough`, which
    is what stock phrases are. A model also expects what repeats itself or the prompt, so the value
    is multiplied by how varied the completion is (see `diversity`; ordinary prose has 1), runs of
    eight words of the prompt counting as repeated. The default model is
    HuggingFaceTB/SmolLM2-135M-Instruct (English, Apache 2.0).

    Where the tokenizer has a chat template the prompt goes through it, otherwise the completion
    continues the prompt. Of what is too long for the model, the beginning of the prompt is left out
    first, then the end of the completion; the log counts that.

    Range: 0 to 1. Higher is better. Columns: none; the prompt is read. It does not see whether what
    is said is true. Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: a causal language model: a local folder, or the name of a model on the hub.
        midpoint: the perplexity that earns 0.5.
        enough: the perplexity that earns 1; a lower one earns no more.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.
    """

    model: str = "HuggingFaceTB/SmolLM2-135M-Instruct"
    midpoint: float = 20.0
    enough: float = 5.0

    name = "coherence"
    version = "2"
    range = (0.0, 1.0)
    pinned: ClassVar[Mapping[str, str]] = {
        "HuggingFaceTB/SmolLM2-135M-Instruct": "12fd25f77366fa6b3b4b768ec3050bf629380bac"
    }

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        prompts = [""] * len(batch) if batch.prompts is None else map(plain, batch.prompts)
        return [
            self.expected(mean) * varied(text, prompt)
            for mean, text, prompt in zip(
                self.mean_log_probs(batch), batch.texts, prompts, strict=True
            )
        ]

    def mean_log_probs(self, batch: RewardBatch) -> list[float | None]:
        """Mean log-probability of each completion's tokens, in nats; None where it has none."""
        return self.mean_logs([self._ids(batch, index, self.loaded) for index in range(len(batch))])

    def _ids(self, batch: RewardBatch, index: int, loaded: Loaded) -> tuple[list[int], list[int]]:
        """Token ids of the prompt, at least one, and of the completion."""
        with loaded.lock:
            return self._encoded(batch, index, loaded.tokenizer)

    def _encoded(
        self, batch: RewardBatch, index: int, tokenizer: Any
    ) -> tuple[list[int], list[int]]:
        prompt: Any = "" if batch.prompts is None else batch.prompts[index]
        if tokenizer.chat_template is not None and prompt:
            text = tokenizer.apply_chat_template(
                messages_of(prompt, "user"), tokenize=False, add_generation_prompt=True
            )
            before = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        else:
            before = tokenizer(plain(prompt), verbose=False)["input_ids"]
        after = tokenizer(batch.texts[index], add_special_tokens=False, verbose=False)["input_ids"]
        return list(before) or [first_token(tokenizer)], list(after)
