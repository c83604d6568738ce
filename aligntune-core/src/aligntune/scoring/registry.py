"""Rewards by name from Python, on the plugins of this process.

`RewardRegistry.register_reward("custom", CustomReward)` makes a reward known;
`RewardRegistry.get_reward_function("custom").compute(text)` uses it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from aligntune import plugins
from aligntune.facts import RewardFacts
from aligntune.registry import RUNTIME_OWNER, Entry
from aligntune.scoring.build import build_reward

if TYPE_CHECKING:
    from aligntune.scoring.protocol import RewardFunction

__all__ = ["RewardRegistry"]


class RewardRegistry:
    """Registers rewards at run time, and finds any reward by its name."""

    @classmethod
    def register_reward(cls, name: str, reward: object, **facts: Any) -> None:
        """Register a reward under a name; doing so again replaces it.

        `reward` is any form that `aligntune.scoring.as_reward` takes; `facts` are the fields of
        `aligntune.facts.RewardFacts`. It lives as long as the process.
        """
        if "summary" not in facts:
            doc = inspect.getdoc(reward) if callable(reward) else None
            facts["summary"] = doc.splitlines()[0] if doc else "registered at run time"
        entry = Entry("reward", name, reward, RewardFacts(**facts), RUNTIME_OWNER)
        plugins.get().rewards.add(entry)

    @classmethod
    def get_reward_function(cls, name: str, **params: Any) -> RewardFunction:
        """The reward of that name, made with these parameters.

        Raises:
            NotRegisteredError: if there is none, naming those there are.
            ConflictError: if two distributions claim the name.
            UnavailableError: if it needs a package that is not installed.
        """
        return build_reward(name, params, plugins.get())[1]

    @classmethod
    def list_rewards(cls) -> list[str]:
        """The names of all rewards, installed and registered, sorted."""
        return plugins.get().rewards.names()
