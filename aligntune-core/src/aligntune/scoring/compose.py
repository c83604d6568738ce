"""`aligntune.rewards(...)`: rewards of every form, weighed and added up, for TRL or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aligntune import plugins
from aligntune.config.sections.rewards import RewardConfig
from aligntune.errors import ConfigError
from aligntune.scoring.adapt import as_reward
from aligntune.scoring.build import build_part
from aligntune.scoring.combine import Scorer
from aligntune.scoring.parts import Part

__all__ = ["rewards"]


def rewards(*given: Any, reference_column: str | None = None) -> Scorer:
    """Compose rewards into one weighted sum, which TRL's trainers take as a reward function.

        scorer = aligntune.rewards("math_accuracy", ("length", 0.2), my_function)
        GRPOTrainer(reward_funcs=scorer, ...)

    Args:
        given: each the name of a registered reward; a mapping or `RewardConfig`, as in `rewards` of
            a configuration; a function, class or object (`aligntune.scoring.as_reward` takes it); a
            `Part`; or a pair of any of these and its weight.
        reference_column: what completions are compared with; by default the first column there is
            of `aligntune.scoring.REFERENCE_COLUMNS`.

    The weights of models are loaded at once, so that nothing is missing once training has begun.

    Raises:
        AlignTuneError: as `aligntune.scoring.build_scorer` says, but for what concerns data.
    """
    parts = [_part(each, f"rewards[{index}]") for index, each in enumerate(given)]
    scorer = Scorer(parts, reference_column)
    scorer.load()
    return scorer


def _part(given: Any, path: str) -> Part:
    weight = None
    if isinstance(given, tuple):
        if len(given) != 2 or isinstance(given[1], bool) or not isinstance(given[1], int | float):
            raise ConfigError(
                f"{path} is the tuple {given!r}; a tuple is a reward and its weight, such as "
                '("length", 0.2)'
            )
        given, weight = given
    if isinstance(given, Part):
        part = given
    elif isinstance(given, str | Mapping | RewardConfig):
        part = build_part(_entry(given), path, plugins.get())
    else:
        reward = as_reward(given)
        part = Part(reward.label, reward)
    return part if weight is None else part.weighing(float(weight))


def _entry(given: str | Mapping[str, Any] | RewardConfig) -> RewardConfig:
    if isinstance(given, RewardConfig):
        return given
    return RewardConfig(type=given) if isinstance(given, str) else RewardConfig(**given)
