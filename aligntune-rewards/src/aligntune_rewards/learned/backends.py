"""Rewards that work with a model or without: each of their parameters is used, or refused."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from aligntune_rewards.learned.model_reward import ModelReward

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Backend", "check_backend"]

Backend = Literal["lexical", "model"]


def check_backend(reward: ModelReward, backend: str, more: Collection[str] = ()) -> None:
    """Refuse a backend that there is not, and without a model, the parameters of one.

    `more`: parameters of the reward's own that are for the model.

    Raises:
        ValueError: naming them.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend is {backend!r}; it is one of {', '.join(get_args(Backend))}")
    if backend == "model":
        return
    usual = {each.name: each for each in fields(reward)}
    names = [*(each.name for each in fields(ModelReward)), *more]
    set_to = [name for name in names if getattr(reward, name) != _default(usual[name])]
    if set_to:
        raise ValueError(f"{', '.join(set_to)} without effect: set backend to model, or leave out")


def _default(field: Any) -> Any:
    made = field.default_factory
    return made() if callable(made) else field.default
