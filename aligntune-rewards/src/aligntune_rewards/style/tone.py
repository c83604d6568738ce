"""Tone: whether a completion keeps to a tone, by its mood and its emphasis, or by a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch
from aligntune_rewards.checks import need
from aligntune_rewards.learned.backends import Backend, check_backend
from aligntune_rewards.learned.classifier import ClassifierReward, labels_of, listed
from aligntune_rewards.style.valence import valences, weighted_mean
from aligntune_rewards.visible import passages, visible

if TYPE_CHECKING:
    from aligntune_rewards.learned.models import Loaded

__all__ = ["TONES", "Tone", "ToneReward"]

_HARSH = -0.5  # a sentence of this mood or below is harsh
_LONGEST = 40
_HYPOTHESIS = "The tone of this text is {}."
_CAPITALS = re.compile(r"\b[A-Z]{2,}\b(?:\W+\b[A-Z]{2,}\b)+")
# Pictographs, and the emoticons of Western keyboards.
_EMOJI = re.compile(
    "[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55]|(?<!\\w)[:;=8][-o^']?[)(DPp/|\\\\](?!\\w)"
)


@dataclass(frozen=True)
class Tone:
    """What a tone allows: a mood within `low` to `high`, and shares of emphatic sentences.

    `harsh`, `exclaimed`, `emoji`: the largest share of sentences that are harsh, end with an
    exclamation mark, or hold an emoji.
    """

    low: float
    high: float
    harsh: float = 0.0
    exclaimed: float = 0.0
    emoji: float = 0.0


TONES = {
    "professional": Tone(-0.2, 0.7),
    "neutral": Tone(-0.2, 0.2),
    "serious": Tone(-0.6, 0.3, harsh=0.5),
    "friendly": Tone(0.1, 1.0, exclaimed=0.5, emoji=0.34),
    "enthusiastic": Tone(0.4, 1.0, exclaimed=1.0, emoji=1.0),
}


@dataclass(eq=False, repr=False)
class ToneReward(ClassifierReward):
    """Whether an English completion keeps to a tone.

    Without a model, a tone is what it allows (`TONES`): a band of mood, as VADER measures it
    sentence by sentence (see `sentiment`), and a share of sentences that may be harsh (VADER -0.5
    or below), be exclaimed, or hold an emoji. The value is 1 minus the distance of the mood from
    the band, times 1 - excess for each of the shares and for the share of words shouted (two words
    or more in capitals on end), where excess is (share - allowed) / (1 - allowed). So nothing that
    is said can earn anything; offences against the tone cost. A text without words earns 0.

    With `backend="model"`, a classifier of natural language inference says how far the completion
    entails "The tone of this text is {target}.", for any adjective (zero-shot classification, Yin
    et al. 2019, arXiv 1909.00161): P(entailment) against P(contradiction), or P(not entailment).
    A text without words earns 0 here too.

    Range: 0 to 1. Higher is better. Columns: none. The lexical backend does not see politeness,
    irony, or what is appropriate to the prompt. Needs `pip install "aligntune-rewards[text]"`, or
    for the model `"aligntune-rewards[models]"`.

    Args:
        target: `"professional"`, `"neutral"`, `"serious"`, `"friendly"` or `"enthusiastic"`; with a
            model any adjective.
        backend: `"lexical"` or `"model"`.
        model: a classifier of natural language inference; the default is
            MoritzLaurer/deberta-v3-base-zeroshot-v2.0 (English, MIT licence, 184 million
            parameters).

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`; all of
    them are for the model.

    Raises:
        ValueError: for a tone or backend that there is not, or a model without `backend="model"`.
        ConfigError: in `load`, if the model does not judge entailment.
    """

    model: str = "MoritzLaurer/deberta-v3-base-zeroshot-v2.0"
    target: str = "professional"
    backend: Backend = "lexical"

    name = "tone"
    range = (0.0, 1.0)
    cost = "inline"  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_backend(self, self.backend)
        if self.backend == "model":
            self.name = "tone[model]"
            self.cost = "model"  # type: ignore[assignment]
            if not self.target.strip():
                raise ValueError("target is empty; it is an adjective, such as 'friendly'")
            return
        if self.target not in TONES:
            raise ValueError(
                f"target is {self.target!r}; it is one of {', '.join(TONES)}, or any adjective "
                "with backend: model"
            )

    def load(self) -> None:
        """Load the model, or see that VADER is installed."""
        if self.backend == "model":
            super().load()
        else:
            need("vaderSentiment", "text", "reward 'tone'")

    def check(self, loaded: Loaded) -> None:
        names = [name.casefold() for name in labels_of(loaded)]
        if "entailment" not in names or not _against(names):
            raise ConfigError(
                f"{self.said_by}: the labels of {self.model!r} are {listed(labels_of(loaded))}; a "
                "classifier of natural language inference has entailment and contradiction, or "
                "not_entailment"
            )

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        if self.backend == "lexical":
            return [kept(text, TONES[self.target]) for text in batch.texts]
        said = [_HYPOTHESIS.format(self.target)] * len(batch)
        logits = self.logits(RewardBatch(said, prompts=list(batch.texts)), "pair")
        names = [name.casefold() for name in labels_of(self.loaded)]
        pair = logits[:, [names.index("entailment"), names.index(_against(names))]]
        shares: list[float] = pair.softmax(dim=1)[:, 0].tolist()
        return [
            share if any(map(str.isalnum, text)) else 0.0
            for text, share in zip(batch.texts, shares, strict=True)
        ]


def _against(names: Sequence[str]) -> str:
    return next((name for name in ("contradiction", "not_entailment") if name in names), "")


def kept(text: str, tone: Tone) -> float:
    """How far a text keeps to a tone, 0 to 1."""
    if not any(map(str.isalnum, text)):
        return 0.0
    found = valences(text)
    mood = weighted_mean(found)
    value = max(0.0, 1.0 - max(tone.low - mood, mood - tone.high, 0.0))
    sentences = passages(text, _LONGEST)
    shares = (
        (sum(mood <= _HARSH for mood, _ in found) / len(found), tone.harsh),
        (sum(each.rstrip("\"') ").endswith("!") for each in sentences) / len(sentences),
         tone.exclaimed),
        (sum(_EMOJI.search(each) is not None for each in sentences) / len(sentences), tone.emoji),
        (_shouted(text), 0.0),
    )  # fmt: skip
    for share, allowed in shares:
        if share > allowed:
            value *= 1.0 - (share - allowed) / (1.0 - allowed)
    return value


def _shouted(text: str) -> float:
    """The share of words that stand in capitals beside another in capitals."""
    seen = visible(text)
    shouted = sum(len(run.split()) for run in _CAPITALS.findall(seen))
    return min(1.0, shouted / max(1, len(seen.split())))
