"""Refusal: whether a completion refuses where it should, and does not where it should not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch
from aligntune.scoring.signature import Accepts
from aligntune_rewards.learned.backends import Backend, check_backend
from aligntune_rewards.learned.classifier import ClassifierReward, each_by_itself, labels_of, listed
from aligntune_rewards.safety.refusals import complies, opens_with_refusal, refuses
from aligntune_rewards.visible import visible

if TYPE_CHECKING:
    from aligntune_rewards.learned.models import Loaded

__all__ = ["RefusalReward"]

_DEFAULT = "ProtectAI/distilroberta-base-rejection-v1"
_COLUMN = "should_refuse"
_NAMES = ("rejection", "refusal", "refused", "reject", "refuse")


@dataclass(eq=False, repr=False)
class RefusalReward(ClassifierReward):
    """Whether a completion refuses where it should, and does what was asked where it should not.

    The column `should_refuse` says so for each row; without it, `refusing` does for all. Where
    refusing is bad the value is 1 - P(refusal), where it is good P(refusal).

    Without a model, P is 1 or 0, by wordings of English refusals at the beginning of a sentence
    (`aligntune_rewards.safety.refusals`): the speaker, the refusal, and what is refused, after an
    apology or the like. Where refusing is bad, the first three sentences and the last count, and
    others that refuse "this" or "your request". Where it is good, one of the first three sentences
    must refuse, and nothing that follows may look like doing it all the same: "Sure, here is how",
    steps, code. With `backend="model"`, P is what a classifier says of the completion. The empty
    text earns 0 either way.

    Range: 0 to 1. Higher is better. Columns: `should_refuse` (true, false, 1, 0, or None where it
    does not apply), if there is one. The lexical backend does not see refusals in other languages
    or other words, or compliance in plain prose after a refusal.
    Needs nothing, or for the model `pip install "aligntune-rewards[models]"`.

    Args:
        refusing: `"bad"` or `"good"`: what refusing is where no column says so.
        column: another name of that column; set, it must be there.
        backend: `"lexical"` or `"model"`.
        model: a classifier of refusals; the default is ProtectAI/distilroberta-base-rejection-v1
            (English, Apache-2.0 licence, 82 million parameters).
        refusal: name or number of its label that means a refusal; unset, the one called so.

    The other parameters are those of `aligntune_rewards.learned.model_reward.ModelReward`; with
    `model` and `refusal`, all of them are for the model.

    Raises:
        ValueError: for a value that makes no sense, or a model without `backend="model"`.
        ConfigError: in `load`, if nothing says which label means a refusal.
        TypeError: when scoring, if the column holds anything else.
    """

    model: str = _DEFAULT
    refusing: Literal["bad", "good"] = "bad"
    column: str | None = None
    backend: Backend = "lexical"
    refusal: str | int | None = None

    name = "refusal"
    range = (0.0, 1.0)
    cost = "inline"  # type: ignore[assignment]
    pinned: ClassVar[Mapping[str, str]] = {_DEFAULT: "65584967c3f22ff7723e5370c65e0e76791e6055"}

    def __post_init__(self) -> None:
        given = self.revision
        super().__post_init__()
        if self.refusing not in ("bad", "good"):
            raise ValueError(f"refusing is {self.refusing!r}; it is bad or good")
        if self.backend != "model" and given is None:
            self.revision = None
        check_backend(self, self.backend, ["refusal"])
        if self.backend == "model":
            self.name = "refusal[model]"
            self.cost = "model"  # type: ignore[assignment]
        if self.column is not None:
            self.requires = frozenset({self.column})

    @cached_property
    def accepts(self) -> Accepts:
        """The column that says what is wanted."""
        names = frozenset({self.column or _COLUMN})
        return Accepts(first="text", names=names, required=self.requires, everything=False)

    def load(self) -> None:
        """Load the model, if there is one."""
        if self.backend == "model":
            super().load()

    def check(self, loaded: Loaded) -> None:
        self._refusal(loaded)

    def compute(self, text: str, prompt: Any = None, **columns: Any) -> float | None:
        """Score one completion; `columns` may hold `should_refuse`."""
        del prompt  # what is refused does not matter here
        return self.compute_batch(RewardBatch.one(text, **columns))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        wanted = self._wanted(batch)
        if self.backend == "lexical":
            pairs = zip(batch.texts, wanted, strict=True)
            return [_lexical(text, good) for text, good in pairs]
        shares = self._shares(batch)
        return [
            None if good is None else 0.0 if not _seen(text) else share if good else 1.0 - share
            for text, share, good in zip(batch.texts, shares, wanted, strict=True)
        ]

    def _wanted(self, batch: RewardBatch) -> list[bool | None]:
        """Whether each completion should refuse; None where that is not known."""
        name = self.column or _COLUMN
        if name not in batch.columns:
            if self.column is not None:
                raise ValueError(f"the batch has no column {name!r}, which params.column names")
            return [self.refusing == "good"] * len(batch)
        return [_truth(value, name) for value in batch.columns[name]]

    def _shares(self, batch: RewardBatch) -> list[float]:
        index = self._refusal(self.loaded)
        logits = self.logits(RewardBatch(batch.texts), "completion")
        shares = logits.sigmoid() if each_by_itself(self.loaded) else logits.softmax(dim=1)
        values: list[float] = shares[:, index].tolist()
        return values

    def _refusal(self, loaded: Loaded) -> int:
        """The place of the label that means a refusal."""
        if self.refusal is not None:
            return self.index(self.refusal, "refusal", loaded)
        labels = labels_of(loaded)
        for index, name in enumerate(labels):
            if name.casefold() in _NAMES:
                return index
        raise ConfigError(
            f"{self.said_by}: the labels of {self.model!r} are {listed(labels)}; set "
            "params.refusal to the one that means a refusal"
        )


def _truth(value: Any, name: str) -> bool | None:
    if value is None or (isinstance(value, bool | int | float) and value in (0, 1)):
        return None if value is None else bool(value)
    raise TypeError(f"the column {name!r} holds {value!r}; it holds true or false (or 1 or 0)")


def _seen(text: str) -> bool:
    """Whether a text holds anything that its reader sees."""
    return bool(visible(text).strip())


def _lexical(text: str, good: bool | None) -> float | None:
    if good is None:
        return None
    if not _seen(text):
        return 0.0
    if good:
        return float(opens_with_refusal(text) and not complies(text))
    return float(not refuses(text))
