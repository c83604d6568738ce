"""From what was written, in any form, to settings at full paths; and from settings to a config.

Nested and flat forms, other names of a field, files, keyword arguments and flags all become a list
of `Setting(path, value, origin)`. Later sources override earlier ones path by path; within one
source, two different values for one path are an error that names both. What is wrong is kept beside
the settings and raised with everything else that is found, so that all of it is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from aligntune.config.environment import from_secret
from aligntune.config.problems import shown
from aligntune.config.section import Section
from aligntune.config.sections.dataset import is_data
from aligntune.errors import ConfigError, Problem
from aligntune.redact import is_secret_name

__all__ = ["Setting", "collect", "field_paths", "merge"]

# Flat names that are not the name of a field of any section.
_FLAT = {
    "model_name": "model.name_or_path",
    "model_name_or_path": "model.name_or_path",
    "dataset_name": "datasets.0.name",
    "dataset_path": "datasets.0.name",
    "eval_dataset": "eval_datasets.0.name",
    "eval_dataset_name": "eval_datasets.0.name",
    "max_length": "model.max_seq_length",
}
# Which section a flat name means where several have it: the first of these.
_ORDER = ("model", "datasets.0", "train", "logging", "evaluation", "distributed", "meta_es")
_NOT_FLAT = {"datasets.0": {"name", "config"}, "distributed": {"backend"}}
_SECTIONS = ("model", "train", "logging", "evaluation", "distributed", "meta_es", "plugins")
_LISTS = {"datasets": "name", "eval_datasets": "name", "rewards": "type"}


@dataclass(frozen=True)
class Setting:
    """One value at its full path, such as `train.learning_rate` or `datasets.0.name`."""

    path: str
    value: Any
    origin: str
    given_as: str = ""
    problem: Problem | None = None
    """What is wrong with it; it then stands for no value."""


Origin = Callable[[str], str]


@cache
def _sections() -> dict[str, type[Section]]:
    from aligntune.config import sections as s

    return {
        "model": s.ModelConfig,
        "datasets.0": s.DatasetConfig,
        "train": s.TrainingConfig,
        "logging": s.LoggingConfig,
        "evaluation": s.EvaluationConfig,
        "distributed": s.DistributedConfig,
        "meta_es": s.MetaESConfig,
    }


@cache
def field_paths() -> dict[str, str]:
    """Every flat name (fields, other names) -> full path."""
    paths: dict[str, str] = {}
    for prefix in _ORDER:
        section = _sections()[prefix]
        names = {n: n for n in section.model_fields} | section.aliases()
        for name, field in names.items():
            if name not in _NOT_FLAT.get(prefix, ()):
                paths.setdefault(name, f"{prefix}.{field}")
    return paths | _FLAT


def _root_fields() -> dict[str, str]:
    from aligntune.config.run_config import RunConfig

    return {n: n for n in RunConfig.model_fields} | RunConfig.aliases()


def collect(data: Mapping[str, Any], origin: str | Origin) -> list[Setting]:
    """Return the settings that `data` (nested, flat, or both) makes.

    Args:
        data: a mapping as read from a file, or as given to a call; values may be sections.
        origin: where the values come from, or a function from the path as written to that.

    Two names of one parameter that are set to different values make a setting with a problem.
    """
    where: Origin = origin if callable(origin) else lambda _: origin
    found: list[Setting] = []
    root = _root_fields()
    for name, value in data.items():
        if name == "dataset":
            _dataset(value, where, found)
        elif name == "model" and isinstance(value, str):
            found.append(Setting("model.name_or_path", value, where(name), name))
        elif name in ("reward_functions", "reward_function_weights"):
            continue
        elif name in ("type", "training_type") and str(value).lower() not in ("sft", "rl"):
            found.append(Setting("algo", value, where(name), name))
        elif name in root:
            _root_value(root[name], name, value, where, found)
        elif name in field_paths():
            found.append(Setting(field_paths()[name], value, where(name), name))
        else:
            _dotted(name, value, where, found)
    _reward_names(data, where, found)
    # A whole list first: it must not take away what another name sets in one of its items.
    found.sort(key=lambda setting: setting.path not in _LISTS)
    return _without_contradictions(found)


def _dataset(value: Any, where: Origin, found: list[Setting]) -> None:
    if isinstance(value, list):
        _root_value("datasets", "dataset", value, where, found)
    elif isinstance(value, str) or is_data(value):
        found.append(Setting("datasets.0.name", value, where("dataset"), "dataset"))
    else:
        _section("datasets.0", "dataset", value, where, found)


def _dotted(name: str, value: Any, where: Origin, found: list[Setting]) -> None:
    """A full path as a key, such as `train.batch_size` or `datasets.0.split`; or a stray one."""
    head, *below = name.split(".")
    path = "datasets.0" if head == "dataset" else _root_fields().get(head, head)
    section = _section_class(path)
    for part in below:
        if section is not None and part in section.elsewhere:
            path, section = section.elsewhere[part], None
        elif section is None or part.isdecimal():
            path = f"{path}.{part}"
        else:
            field = section.aliases().get(part, part)
            path, section = f"{path}.{field}", section.nested().get(field)
    if below and section is not None:
        _section(path, name, value, where, found)
    else:
        found.append(Setting(path, value, where(name), name))


def _reward_names(data: Mapping[str, Any], where: Origin, found: list[Setting]) -> None:
    """`reward_functions` with `reward_function_weights` is a short form of `rewards`."""
    functions, numbers = "reward_functions", "reward_function_weights"
    names, weights = data.get(functions), data.get(numbers)
    if names is None and weights is None:
        return
    if names is None:
        hint = f"set `{functions}`, or the weights in `rewards`"
        found.append(_wrong(numbers, f"there are no `{functions}` that they are for", where, hint))
        return
    if not isinstance(names, (list, tuple)):
        found.append(_wrong(functions, "expected a list of reward names", where))
        return
    if weights is None:
        _root_value("rewards", functions, list(names), where, found)
        return
    if not isinstance(weights, (list, tuple)):
        found.append(_wrong(numbers, "expected a list of numbers", where))
        return
    if len(weights) != len(names):
        what = f"{len(weights)} weights for {len(names)} reward functions"
        found.append(_wrong(numbers, what, where, "give one weight per reward function"))
        return
    rewards = [
        {**(entry if isinstance(entry, Mapping) else {"type": entry}), "weight": weight}
        for entry, weight in zip(map(_reward, names), weights, strict=True)
    ]
    _root_value("rewards", functions, rewards, where, found)


def _reward(item: Any) -> Any:
    """An item of a list of rewards as an entry of `rewards`: a function is a custom reward."""
    if isinstance(item, Section):
        return item.explicit()
    if callable(item):
        return {"type": "custom", "params": {"reward_function": item}}
    return item


def _wrong(path: str, what: str, where: Origin, hint: str = "") -> Setting:
    return Setting(path, None, where(path), path, Problem(path, what, where(path), hint))


def _root_value(path: str, written: str, value: Any, where: Origin, found: list[Setting]) -> None:
    if value is None and path in _SECTIONS:  # a section that is named, with nothing in it
        return
    if value is None and path in _LISTS:
        value = []
    if path in _LISTS and isinstance(value, str):  # as a flag gives it: names with commas
        value = [name.strip() for name in value.split(",") if name.strip()]
    if path in _LISTS and isinstance(value, (list, tuple)):
        found.append(Setting(path, [], where(written), written))
        for index, item in enumerate(value):
            entry = _reward(item) if path == "rewards" else item
            named = {_LISTS[path]: entry} if isinstance(entry, str) or is_data(entry) else entry
            _section(f"{path}.{index}", f"{written}.{index}", named, where, found)
    elif isinstance(value, (Section, Mapping)) and path in _SECTIONS:
        _section(path, written, value, where, found)
    else:
        found.append(Setting(path, value, where(written), written))


def _section(path: str, written: str, value: Any, where: Origin, found: list[Setting]) -> None:
    if isinstance(value, Section):
        value = value.explicit()
    if not isinstance(value, Mapping):
        found.append(Setting(path, value, where(written), written))
        return
    is_set = any(setting.path.startswith(f"{path}.") for setting in found)
    if not value and "." in path and not is_set:
        found.append(Setting(path, {}, where(written), written))  # it lacks all that it needs
    section = _section_class(path)
    for name, item in value.items():
        key = f"{written}.{name}"
        if section is not None and name in section.elsewhere:
            found.append(Setting(section.elsewhere[name], item, where(key), key))
        else:
            field = section.aliases().get(name, name) if section is not None else name
            if section is not None and field in section.nested() and item is not None:
                _section(f"{path}.{field}", key, item, where, found)
            else:
                found.append(Setting(f"{path}.{field}", item, where(key), key))


def _section_class(path: str) -> type[Section] | None:
    from aligntune.config import sections as s

    head = path.partition(".")[0]
    if head == "eval_datasets":
        return s.DatasetConfig
    if head == "rewards":
        return s.RewardConfig
    if head == "plugins":
        return s.PluginsConfig
    if head == "datasets":
        return s.DatasetConfig
    parent, _, name = path.rpartition(".")
    if not parent:
        return _sections().get(path)
    above = _section_class(parent)
    return None if above is None else above.nested().get(name)


def _without_contradictions(found: Sequence[Setting]) -> list[Setting]:
    """The settings, where a second value of one path is replaced by the problem that it is."""
    first: dict[str, Setting] = {}
    kept = []
    for setting in found:
        known = first.setdefault(setting.path, setting)
        if known is not setting and known.problem is None and _differ(known.value, setting.value):
            kept.append(replace(setting, problem=_contradiction(known, setting)))
        else:
            kept.append(setting)
    return kept


def _differ(one: Any, other: Any) -> bool:
    return one is not other and one != other


def _contradiction(one: Setting, other: Setting) -> Problem:
    names = f"{one.given_as!r} and {other.given_as!r} are names of one parameter and are set to "
    if one.given_as == other.given_as:  # `train.seed` as one key, and `seed` below `train`
        names = f"{one.given_as!r} is set twice, to "
    what = f"{names}different values"
    if not (is_secret_name(one.path) or from_secret(one.origin) or from_secret(other.origin)):
        what += f" ({shown(one.value)} and {shown(other.value)})"
    return Problem(one.path, what, other.origin, "keep one of them")


def merge(
    settings: Iterable[Setting], problems: list[Problem] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the nested values and the origin of each path; a later setting replaces earlier ones.

    Setting a whole list replaces what was set inside it before.

    Args:
        settings: from the first to the last.
        problems: takes what is wrong with the settings, to be raised with what else is found.

    Raises:
        ConfigError: for what is wrong with the settings, unless `problems` takes it.
    """
    found: list[Problem] = []
    kept: dict[str, Setting] = {}
    for setting in settings:
        if setting.problem is not None:
            found.append(setting.problem)
            continue
        below = [path for path in kept if path.startswith(f"{setting.path}.")]
        for path in below:
            del kept[path]
        kept[setting.path] = setting
    tree: dict[str, Any] = {}
    for setting in kept.values():
        problem = _put(tree, setting)
        if problem is not None:
            found.append(problem)
    if problems is None and found:
        raise ConfigError(found)
    if problems is not None:
        problems.extend(found)
    return tree, {setting.path: setting.origin for setting in kept.values()}


def _put(tree: dict[str, Any], setting: Setting) -> Problem | None:
    """Put a value into nested dicts; below the fields that are lists, a number says which item.

    Returns what is in the way, if anything is.
    """
    path: list[str] = []
    node: Any = tree
    for name in setting.path.split("."):
        if not isinstance(node, (dict, list)):
            what = f"expected keys with values, not {shown(node)}"
            return Problem(".".join(path), what, setting.origin)
        path.append(name)
        last = len(path) == setting.path.count(".") + 1
        key: Any = name
        if isinstance(node, list):
            if not name.isdecimal() or int(name) > len(node):
                what = f"{name!r} is not the number of an item; there are {len(node)}"
                return Problem(setting.path, f"{what}, counted from 0", setting.origin)
            key = int(name)
            if key == len(node):
                node.append({})
        if last:
            node[key] = setting.value
        else:
            is_list = ".".join(path) in (*_LISTS, "evaluation.evaluators")
            inner = node[key] if isinstance(node, list) else node.get(key, [] if is_list else {})
            # What is put into must be ours: the caller's mapping stays as it is.
            node[key] = inner.copy() if isinstance(inner, (dict, list)) else inner
            node = node[key]
    return None
