"""Turns every accepted form of a reward into a `RewardFunction`, once, before anything is scored.

Accepted are: a function of a text; a function written for TRL (it declares `completions`); either
of them as `async def`; a `RewardFunction` or another class with `compute` or `__call__`, or an
instance of one; and the importable name `"package.module:name"` of any of these.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from aligntune.errors import AlignTuneError, ConfigError, DataError, PluginError
from aligntune.registry import import_target
from aligntune.scoring.protocol import (
    RewardBatch,
    RewardFunction,
    run_async,
)
from aligntune.scoring.signature import (
    Accepts,
    check_params,
    is_async,
    is_trl_native,
    name_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["AsyncTextReward", "TRLReward", "TextReward", "as_reward", "load_reward"]

# The keywords that TRL itself passes to a reward function, beside the columns of the data.
_TRL_KEYWORDS = frozenset(
    {"prompts", "completions", "completion_ids", "trainer_state", "log_metric", "log_extra"}
)


def as_reward(
    obj: object, name: str = "", params: Mapping[str, Any] | None = None
) -> RewardFunction:
    """Turn any accepted form into a reward.

    `name` is what the reward is called in messages and logs; by default what it calls itself.
    `params` go to the constructor of a class, or to a function as keywords of each call.

    Raises:
        ConfigError: if the object is no reward, or does not take the parameters.
        PluginError: if an importable name cannot be imported, or making one raises something else.
    """
    params = dict(params or {})
    if isinstance(obj, str):
        obj = load_reward(obj)
    if isinstance(obj, type):
        obj = _instance(obj, name or obj.__name__, params)
        params = {}
    if isinstance(obj, RewardFunction):
        return _checked(obj, name, params)
    compute = getattr(obj, "compute", obj)
    if not callable(compute):
        raise ConfigError(
            f"reward {name or obj!r} is a {type(obj).__name__}; a reward is a function, a class "
            'with `compute`, or the importable name "package.module:name" of one'
        )
    if compute is not obj and params:
        raise _no_params(name or name_of(obj), params)
    return _from_callable(compute, name or name_of(obj), params)


def load_reward(path: str) -> Any:
    """Import `"package.module:name"`.

    Raises:
        ConfigError: if it is not written that way.
        PluginError: if it cannot be imported.
    """
    module, _, attribute = path.partition(":")
    if not module or not attribute:
        raise ConfigError(f'{path!r} is no importable name; write it "package.module:name"')
    try:
        return import_target(path, "the reward")
    except AlignTuneError:
        raise
    except Exception as error:
        raise PluginError(
            f"the reward {path!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _instance(cls: type[Any], name: str, params: Mapping[str, Any]) -> Any:
    said_by = f"reward {name!r}"
    if inspect.isabstract(cls):
        raise ConfigError(f"{said_by}: the class {cls.__name__} is abstract")
    check_params(cls, params, said_by, complete=True)
    try:
        return cls(**params)
    except AlignTuneError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{said_by} does not accept its parameters: {error}") from error
    except Exception as error:
        raise PluginError(f"{said_by} cannot be made: {type(error).__name__}: {error}") from error


def _checked(reward: RewardFunction, name: str, params: Mapping[str, Any]) -> RewardFunction:
    if params:
        raise _no_params(name or reward.label, params)
    if not reward.scores():
        raise ConfigError(
            f"reward {name or reward.label!r} overrides none of {', '.join(reward.methods)}"
        )
    return reward


def _no_params(name: str, params: Mapping[str, Any]) -> ConfigError:
    return ConfigError(
        f"reward {name!r} is an object that is made already, so the parameters "
        f"{', '.join(map(repr, sorted(params)))} have nowhere to go; hand over its class instead"
    )


def _from_callable(
    function: Callable[..., Any], name: str, params: Mapping[str, Any]
) -> RewardFunction:
    said_by = f"reward {name!r}"
    check_params(function, params, said_by)
    if is_trl_native(function, said_by):
        return TRLReward(function, name, params)
    if is_async(function):
        return AsyncTextReward(function, name, params)
    return TextReward(function, name, params)


class _Adapted(RewardFunction):
    """What adapted functions share: nothing is known of their range, nor whether they repeat."""

    deterministic = False

    def __init__(
        self, function: Callable[..., Any], name: str, params: Mapping[str, Any], accepts: Accepts
    ) -> None:
        self.function = function
        self.name = name
        self.params = dict(params)
        # What `params` fill, the data need not bring and cannot override.
        self.accepts = accepts.without(params)


class TextReward(_Adapted):
    """A function of one text: `def reward(text, reference=None, **kwargs) -> float`."""

    def __init__(self, function: Callable[..., Any], name: str, params: Mapping[str, Any]) -> None:
        super().__init__(function, name, params, Accepts.read(function, f"reward {name!r}"))

    def compute(self, text: str, /, *args: Any, **kwargs: Any) -> float | None:
        value: float | None = self.function(text, *args, **kwargs, **self.params)
        return value


class AsyncTextReward(_Adapted):
    """The same as `async def`; the texts of a batch are scored concurrently."""

    def __init__(self, function: Callable[..., Any], name: str, params: Mapping[str, Any]) -> None:
        super().__init__(function, name, params, Accepts.read(function, f"reward {name!r}"))

    async def compute(  # type: ignore[override]
        self, text: str, /, *args: Any, **kwargs: Any
    ) -> float | None:
        value: float | None = await self.function(text, *args, **kwargs, **self.params)
        return value


class TRLReward(_Adapted):
    """A function written for TRL: `def reward(prompts, completions, **kwargs) -> list[float]`.

    It gets what TRL would give it: completions as the data have them (messages, if they are), every
    column as a list, `completion_ids`, and in a training run `trainer_state`, `log_metric` and
    `log_extra`.
    """

    def __init__(self, function: Callable[..., Any], name: str, params: Mapping[str, Any]) -> None:
        accepts = Accepts.read(function, f"reward {name!r}", text_first=False)
        super().__init__(function, name, params, accepts)
        self.requires = self.accepts.required - _TRL_KEYWORDS

    @property
    def is_async(self) -> bool:
        return is_async(self.function)

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        returned = self._call(batch)
        return run_async(_awaited(returned)) if inspect.isawaitable(returned) else returned

    async def acompute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        returned = self._call(batch)
        return await _awaited(returned) if inspect.isawaitable(returned) else returned

    def _call(self, batch: RewardBatch) -> Any:
        given: dict[str, Any] = {"reference": batch.references, **batch.columns, **batch.extras}
        given["prompts"] = batch.prompts
        given["completions"] = batch.texts if batch.messages is None else batch.messages
        given["completion_ids"] = batch.completion_ids
        given = {name: value for name, value in given.items() if value is not None}
        if missing := sorted(self.accepts.required - set(given)):
            raise DataError(
                f"{self.name} needs {', '.join(map(repr, missing))}; there is "
                f"{', '.join(sorted(given))}"
            )
        return self.function(**self.accepts.pick(given), **self.params)


async def _awaited(returned: Awaitable[Sequence[float | None]]) -> Sequence[float | None]:
    return await returned
