"""Fluency: how expected a completion is to a language model, by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aligntune_rewards.text.language_model import LanguageModelReward, first_token
from aligntune_rewards.text.variety import varied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.scoring import RewardBatch

__all__ = ["FluencyReward"]


@dataclass(eq=False, repr=False)
class FluencyReward(LanguageModelReward):
    """How expected the completion is to a language model that reads it alone.

    1 / (1 + max(0, perplexity - enough) / (midpoint - enough)), where the perplexity is
    exp(-(1/T) Σ log p(token | tokens before it)) over the T tokens of the completion, after the
    token that begins a text. `coherence` is the same after the prompt: a fluent answer to another
    question is fluent and not coherent. Nothing is earned by being more expected than `enough`,
    which is what stock phrases are; and since a model expects what repeats itself, the value is
    multiplied by how varied the completion is (see `diversity`; ordinary prose has 1). A completion
    without tokens earns 0. The default model is HuggingFaceTB/SmolLM2-135M (English, Apache 2.0).

    Of what is too long for the model the end is left out; the log counts that.

    Range: 0 to 1. Higher is better. Columns: none. It sees neither the prompt nor whether what is
    said is true, and rare words lower it. Needs `pip install "aligntune-rewards[models]"`.

    Args:
        model: a causal language model: a local folder, or the name of a model on the hub. One that
            was trained on plain text and not on instructions knows best what a text looks like.
        midpoint: the perplexity that earns 0.5.
        enough: the perplexity that earns 1; a lower one earns no more.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`.
    """

    model: str = "HuggingFaceTB/SmolLM2-135M"
    midpoint: float = 90.0
    enough: float = 30.0

    name = "fluency"
    range = (0.0, 1.0)
    pinned: ClassVar[Mapping[str, str]] = {
        "HuggingFaceTB/SmolLM2-135M": "93efa2f097d58c2a74874c7e644dbc9b0cee75a2"
    }

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        tokenizer = self.loaded.tokenizer
        begin = first_token(tokenizer)
        with self.loaded.lock:
            ids = [
                tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
                for text in batch.texts
            ]
        means = self.mean_logs([([begin], list(each)) for each in ids])
        return [
            self.expected(mean) * varied(text)
            for mean, text in zip(means, batch.texts, strict=True)
        ]
