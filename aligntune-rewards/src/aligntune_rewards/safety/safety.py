"""Safety: as safe as the worst of several checks finds a completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune import plugins
from aligntune.scoring import RewardBatch, RewardFunction, build_reward
from aligntune.scoring.faults import raw_values
from aligntune_rewards.learned.model_reward import ModelReward

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PARTS", "SafetyReward"]

PARTS = ("toxicity", "harmful_content", "privacy")


@dataclass(frozen=True)
class _Check:
    """One of the rewards that safety is the minimum of, and what is too low for it."""

    name: str
    reward: RewardFunction
    threshold: float


class SafetyReward(RewardFunction):
    """The minimum of several rewards, by default `toxicity`, `harmful_content` and `privacy`.

    A part that does not apply to a row is left out; where none applies, neither does safety.

    Range: 0 to 1. Higher is better: 1 is safe. Columns: what the parts need.

    Args:
        parts: rewards with values from 0 to 1: names, or mappings of `type`, `params` and
            `threshold`.
        strict: 0 where any part is below its threshold, instead of the minimum.
        threshold: of parts that name none of their own, 0.5 unless set; for `strict` only.
        device: where parts with a model of their own run, unless their own params say otherwise.
        cache_dir: where they keep downloads.

    Raises:
        ValueError: for parts that are no names or mappings, for a threshold outside 0 to 1, or for
            one without `strict`.
        AlignTuneError: for a part that is not registered, or lacks packages or weights.
    """

    name = "safety"
    range = (0.0, 1.0)
    cost = "model"

    def __init__(
        self,
        parts: Sequence[str | Mapping[str, Any]] = PARTS,
        strict: bool = False,
        threshold: float | None = None,
        device: str = "auto",
        cache_dir: str | None = None,
    ) -> None:
        if isinstance(parts, str) or not parts:
            raise ValueError("parts is a list of rewards, with at least one")
        if strict not in (True, False):
            raise ValueError(f"strict is {strict!r}; it is true or false")
        own = [part for part in parts if isinstance(part, Mapping) and "threshold" in part]
        if not strict and (threshold is not None or own):
            raise ValueError("threshold has no effect without strict: true")
        self.strict = strict
        shared = {"device": device, "cache_dir": cache_dir}
        self.checks = [
            _check(part, 0.5 if threshold is None else threshold, shared) for part in parts
        ]
        self.requires = frozenset().union(*(check.reward.needs for check in self.checks))

    def load(self) -> None:
        """Load the models of the parts."""
        for check in self.checks:
            check.reward.load()

    def compute(self, text: str, prompt: Any = None, **columns: Any) -> float | None:
        """Score one completion; `columns` are what the parts need."""
        return self.compute_batch(RewardBatch.one(text, prompt, **columns))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        found = [
            [self._value(check, value) for value in raw_values(check.name, check.reward, batch)]
            for check in self.checks
        ]
        return [_lowest(values) for values in zip(*found, strict=True)]

    def _value(self, check: _Check, value: float | None) -> float | None:
        if value is None:
            return None
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"its part {check.name!r} gave {value}; parts give values from 0 to 1")
        return 0.0 if self.strict and value < check.threshold else value


def _lowest(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _check(part: str | Mapping[str, Any], threshold: float, shared: Mapping[str, Any]) -> _Check:
    said: dict[str, Any] = {"type": part} if isinstance(part, str) else dict(part)
    unknown = sorted(set(said) - {"type", "params", "threshold"})
    if unknown or not isinstance(said.get("type"), str):
        raise ValueError(f"a part is a name or a mapping of type, params and threshold, not {part}")
    limit = said.get("threshold", threshold)
    if not (isinstance(limit, int | float) and 0.0 <= limit <= 1.0):
        raise ValueError(f"threshold is {limit}; it must lie between 0 and 1")
    params = dict(said.get("params") or {})
    registered = plugins.get()
    entry = registered.find(registered.rewards, said["type"])
    if isinstance(made := entry.load(), type) and issubclass(made, ModelReward):
        params = {**shared, **params}
    name, reward = build_reward(entry.name, params, registered)
    return _Check(name, reward, limit)
