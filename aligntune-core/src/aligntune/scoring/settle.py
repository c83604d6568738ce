"""What else a configuration says about its rewards: a reward model, and weights in one list.

Both end in `rewards`, where the plan shows them and the resolved configuration writes them down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune.errors import NotRegisteredError, Problem
from aligntune.scoring.reward_model import (
    REWARD_MODEL,
    reward_model_entry,
    reward_model_problems,
)

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.facts import AlgorithmFacts
    from aligntune.plugins import Plugins

__all__ = ["settle_rewards"]


def settle_rewards(
    config: RunConfig, facts: AlgorithmFacts, plugins: Plugins
) -> tuple[dict[str, str], list[Problem]]:
    """Put the reward model and the weights into `config.rewards`; say why, by path, and what fails.

    Args:
        config: the configuration of the plan; its rewards are changed.
        facts: of the algorithm; one that does not learn from rewards leaves everything as it is.
        plugins: where the reward for a reward model is looked up.

    Raises:
        NotRegisteredError: if a reward model is named and nothing installed scores with one.
    """
    if facts.rewards == "none":
        return {}, []
    problems = reward_model_problems(config)
    if problems:
        return {}, problems
    why: dict[str, str] = {}
    entry = reward_model_entry(config)
    if entry is not None:
        _find(plugins)
        index = len(config.rewards)
        config.__dict__["rewards"] = [*config.rewards, entry]
        named = "reward_model_name" if config.model.reward_model_name else "reward_model_source"
        why = dict.fromkeys(
            (f"rewards.{index}.type", f"rewards.{index}.params"), f"`model.{named}`"
        )
    return _weigh(config, why)


def _find(plugins: Plugins) -> None:
    try:
        plugins.find(plugins.rewards, REWARD_MODEL)
    except NotRegisteredError as error:
        raise NotRegisteredError(f"model.reward_model_name: {error}") from error


def _weigh(config: RunConfig, why: dict[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """Give each reward the weight that `train.reward_weights` has for it."""
    weights, path = config.train.reward_weights, "train.reward_weights"
    if weights is None:
        return why, []
    if len(weights) != len(config.rewards):
        names = ", ".join(entry.type for entry in config.rewards) or "none"
        message = f"{len(weights)} weights, and the rewards are: {names}"
        return why, [Problem(path, message, hint="give one weight per reward, in their order")]
    problems = []
    for index, (entry, weight) in enumerate(zip(config.rewards, weights, strict=True)):
        if "weight" in entry.model_fields_set and entry.weight != weight:
            message = f"{weight} for {entry.type!r}, and `rewards.{index}.weight` is {entry.weight}"
            problems.append(Problem(path, message, hint="keep one of them"))
        entry.__dict__["weight"] = weight
        why.setdefault(f"rewards.{index}.weight", f"`{path}`")
    return why, problems
