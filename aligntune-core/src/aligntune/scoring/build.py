"""From the `rewards` of a configuration to a `Scorer`, before any model is loaded.

A name is looked up among the plugins; `custom` is a function or an importable name in
`params.reward_function`. What core itself reads in `params` (`reference_column`,
`shield_threshold`, `shield_value`) stays here; everything else goes to the reward.
"""

from __future__ import annotations

import importlib.metadata
import math
from typing import TYPE_CHECKING, Any, Protocol

from packaging.requirements import Requirement

from aligntune.errors import ConfigError, Problem, UnavailableError
from aligntune.scoring.adapt import as_reward, load_reward
from aligntune.scoring.combine import Scorer
from aligntune.scoring.normalize import Normalize
from aligntune.scoring.parts import Clip, Part
from aligntune.scoring.signature import name_of, takes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aligntune.facts import EvaluatorFacts, RewardFacts, TaskFacts
    from aligntune.plugins import Plugins
    from aligntune.scoring.protocol import RewardFunction

__all__ = [
    "CUSTOM",
    "RewardSettings",
    "build_part",
    "build_reward",
    "build_scorer",
    "missing_packages",
]

CUSTOM = "custom"


class RewardSettings(Protocol):
    """What one entry of `rewards` in a configuration says (`aligntune.config.RewardConfig`)."""

    @property
    def type(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def clip(self) -> Clip | None: ...
    @property
    def shield(self) -> bool: ...
    @property
    def normalize(self) -> Normalize: ...
    @property
    def model_name(self) -> str | None: ...
    @property
    def device(self) -> str: ...
    @property
    def cache_dir(self) -> str | None: ...
    @property
    def timeout(self) -> float | None: ...


def build_scorer(
    configs: Sequence[RewardSettings], plugins: Plugins, columns: Iterable[str] | None = None
) -> Scorer:
    """Build the weighted sum that a configuration asks for, for data with these columns.

    With columns, what the rewards require of them is checked, and then the rewards load what they
    score with; with None, neither happens.

    Raises:
        NotRegisteredError: if a name is not there. ConflictError: if two distributions claim it.
        UnavailableError: if a reward needs a package that is not installed, with the command.
        ConfigError: if an entry is wrong, or weights are missing.
        PluginError: if a reward cannot be imported.
        DataError: if the data lack what a reward requires.
    """
    parts = [build_part(config, f"rewards[{i}]", plugins) for i, config in enumerate(configs)]
    scorer = Scorer(parts)
    if columns is not None:
        scorer.check(columns)
        scorer.load()
    return scorer


def build_reward(
    name: str, params: Mapping[str, Any], plugins: Plugins
) -> tuple[str, RewardFunction]:
    """The reward called `name`, made with its parameters, and the name to show for it.

    Raises:
        AlignTuneError: as `build_scorer` says, but for what concerns data.
    """
    if name == CUSTOM and "reward_function" in params:
        rest = {key: value for key, value in params.items() if key != "reward_function"}
        given = params["reward_function"]
        function = load_reward(given) if isinstance(given, str) else given
        shown = getattr(function, "name", "") or name_of(function)
        return shown, as_reward(function, shown, rest)
    if name == CUSTOM and not plugins.rewards.matching(CUSTOM):
        raise ConfigError(
            "a custom reward needs params.reward_function: a function, or the importable name "
            '"package.module:name" of one'
        )
    entry = plugins.find(plugins.rewards, name)
    if missing := missing_packages(entry.facts):
        command = f': pip install "{entry.facts.install}"' if entry.facts.install else ""
        raise UnavailableError(
            f"reward {entry.name!r} needs {', '.join(missing)}, which is not installed{command}"
        )
    made = as_reward(entry.load(), entry.name, params)
    # A reward may say which of its kinds was asked for: `relevance[lexical]`.
    says = made.name.startswith(f"{entry.name}[")
    return made.name if says else entry.name, made


def missing_packages(facts: RewardFacts | EvaluatorFacts | TaskFacts) -> list[str]:
    """The requirements of a reward, evaluator or task that are not met, read from metadata."""
    return [text for text in facts.packages if not _installed(Requirement(text))]


def _installed(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def build_part(config: RewardSettings, path: str, plugins: Plugins) -> Part:
    """One entry of a configuration; `path` is its place there.

    Raises:
        AlignTuneError: as `build_scorer` says, but for what concerns data.
    """
    params = dict(config.params)
    own = {key: params.pop(key) for key in _OWN_PARAMS if key in params}
    if not config.shield and (useless := sorted(set(own) - {"reference_column"})):
        raise ConfigError(
            Problem(
                f"{path}.params.{useless[0]}",
                f"has no effect on reward {str(config.type)!r} without shield",
                hint="set shield: true, or leave it out",
            )
        )
    given = _of_a_model(config, path, params)
    name, reward = _placed(path, str(config.type), params | given, plugins)
    if config.timeout is not None:
        if takes(type(reward), "timeout"):
            _refuse_another(params, "timeout", config.timeout, f"{path}.timeout")
            given["timeout"] = config.timeout
            name, reward = _placed(path, str(config.type), params | given, plugins)
        else:
            limit_time(reward, config.timeout, f"{path}.timeout")
    try:
        return Part(
            name,
            reward,
            config.weight,
            config.clip,
            config.shield,
            normalize=config.normalize,
            **own,
        )
    except ConfigError as error:
        raise _at(path, error) from error


def _of_a_model(config: RewardSettings, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are parameters of rewards with a model, where they are set.

    Raises:
        ConfigError: if the parameter is set to something else.
    """
    fields = {"model_name": "model", "device": "device", "cache_dir": "cache_dir"}
    found: dict[str, Any] = {}
    for field, name in fields.items():
        value = getattr(config, field)
        if value is None or (field == "device" and value == "auto"):
            continue
        _refuse_another(params, name, value, f"{path}.{field}")
        found[name] = value
    return found


def _refuse_another(params: Mapping[str, Any], name: str, value: object, path: str) -> None:
    if params.get(name, value) != value:
        message = f"it is {value!r}, and params.{name} is {params[name]!r}"
        raise ConfigError(Problem(path, message, hint="keep one of them"))


def limit_time(reward: RewardFunction, seconds: float, path: str) -> None:
    """Let a reward that sets no limit of its own work in processes that are killed after a time.

    Raises:
        ConfigError: if it cannot be killed, or has no value for a completion that takes too long.
    """
    why = hint = ""
    if reward.cost == "model" or not reward.scores_single_texts:
        what = "works with a model" if reward.cost == "model" else "scores whole batches"
        why, hint = f"reward {reward.label!r} {what}, and cannot be killed", "leave it out"
    elif reward.own_processes:
        why = f"reward {reward.label!r} starts processes itself, and has no parameter `timeout`"
        hint = "leave it out"
    elif not math.isfinite(reward.range[0]):
        why = f"reward {reward.label!r} declares no range, so what takes too long has no value"
        hint = "make it a class of `aligntune.RewardFunction` with `range = (low, high)`"
    if why:
        raise ConfigError(Problem(path, why, hint=hint))
    vars(reward).update(cost="process", timeout=seconds)  # it may be frozen


_OWN_PARAMS = ("reference_column", "shield_threshold", "shield_value")


def _placed(
    path: str, name: str, params: Mapping[str, Any], plugins: Plugins
) -> tuple[str, RewardFunction]:
    try:
        return build_reward(name, params, plugins)
    except ConfigError as error:
        raise _at(path, error) from error


def _at(path: str, error: ConfigError) -> ConfigError:
    """The same problems, with the place in the configuration where they stand."""
    return ConfigError(
        [Problem(p.path or path, p.message, p.where, p.hint) for p in error.problems]
    )
