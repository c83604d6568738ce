"""What pairs of rewards say: how often the chosen completion has the higher one, and by how much.

Trainers that measure themselves and the evaluators of saved models share this, so that both mean
the same by an accuracy and a margin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.evaluation.statistics import mean_metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aligntune.evaluation.metric import Metric

__all__ = ["margins", "preference_accuracy", "preferred", "reward_margin"]


def preferred(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """1 where `first[i]` is the higher, 0 where `second[i]` is, and 0.5 where they are equal.

    A tie counts half, because it is what guessing would earn: a policy that is still its own
    reference has an accuracy of 0.5. (TRL's `rewards/accuracies` counts it 0.)
    """
    return [0.5 + 0.5 * ((a > b) - (a < b)) for a, b in zip(first, second, strict=True)]


def margins(chosen: Sequence[float], rejected: Sequence[float]) -> list[float]:
    """The reward of each chosen completion less that of the rejected one."""
    return [a - b for a, b in zip(chosen, rejected, strict=True)]


def preference_accuracy(
    name: str,
    chosen: Sequence[float],
    rejected: Sequence[float],
    *,
    seed: int = 0,
    details: Mapping[str, Any] | None = None,
) -> Metric:
    """Share of pairs whose chosen completion has the higher reward; ties count half and are told.

    Range 0 to 1, 0.5 by guessing. Wilson's interval where there are no ties, else a bootstrap.
    """
    values = preferred(chosen, rejected)
    told = {**(details or {}), "ties": values.count(0.5)}
    return mean_metric(name, values, seed=seed, details=told)


def reward_margin(
    name: str,
    chosen: Sequence[float],
    rejected: Sequence[float],
    *,
    seed: int = 0,
    unit: str = "",
    details: Mapping[str, Any] | None = None,
) -> Metric:
    """Mean of the chosen completion's reward less the rejected one's, in the rewards' unit."""
    values = margins(chosen, rejected)
    return mean_metric(name, values, seed=seed, unit=unit, details=details, proportion=False)
