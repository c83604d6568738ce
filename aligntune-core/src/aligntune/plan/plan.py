"""The plan of a run: every value with its origin and destination, before anything heavy loads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import PydanticUndefined

from aligntune import plugins as plugins_module
from aligntune.config import EvaluatorConfig, RewardConfig, RunConfig, Section
from aligntune.config.environment import from_secret
from aligntune.config.problems import place
from aligntune.config.section import extra_of
from aligntune.enums import PrecisionType
from aligntune.errors import ConfigError, DataError, NotRegisteredError, Problem
from aligntune.evaluation.best import settle_best
from aligntune.evaluation.switches import settle_evaluation
from aligntune.facts import AlgorithmFacts, BackendFacts
from aligntune.hardware import Hardware
from aligntune.plan.cap import cap_steps
from aligntune.plan.parameters import Fixed, ParameterTable, Refused, Use
from aligntune.plan.recalled import recalled
from aligntune.plan.resolve import Choice, choose
from aligntune.plan.tasks import default_tasks
from aligntune.plan.told import not_registered, placed
from aligntune.plugins import Plugins
from aligntune.redact import is_secret_name
from aligntune.registry import Entry, import_target
from aligntune.reward_models import (
    TrainedRewardModel,
    trained_reward_model,
    trained_reward_model_problems,
)
from aligntune.scoring import Scorer, build_scorer
from aligntune.scoring.adapt import load_reward
from aligntune.scoring.build import CUSTOM, missing_packages
from aligntune.scoring.settle import settle_rewards
from aligntune.scoring.signature import name_of

__all__ = ["Plan", "Value", "leaves", "make_plan", "unused"]

logger = logging.getLogger("aligntune")

NO_REWARD = "default, no reward is set"


@dataclass(frozen=True)
class Value:
    """One value of a run: what it is, where it came from, where it goes."""

    path: str
    value: Any
    origin: str
    destination: str
    used: bool


@dataclass
class Plan:
    """What a run would do. `config` holds the values that the run uses, bent defaults included."""

    config: RunConfig
    algorithm: Entry[AlgorithmFacts]
    backend: Entry[BackendFacts]
    why: str
    table: ParameterTable
    values: list[Value]
    plugins: Plugins
    batch: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    reward_model: TrainedRewardModel | None = None  # that the run trains, once it has

    def flat(self) -> dict[str, Any]:
        """Full path -> value, of everything that is used."""
        return {value.path: value.value for value in self.values if value.used}

    def scorer(
        self, columns: Iterable[str], partial: Mapping[str, Sequence[str]] | None = None
    ) -> Scorer:
        """The weighted sum of the run's rewards, checked against the columns of its data, loaded.

        A reward model that the run trains itself is trained in between.

        Args:
            columns: of the data.
            partial: columns that only some data sets have -> the others, which an error names.

        Raises:
            AlignTuneError: as `aligntune.scoring.build_scorer` says.
        """
        rewards = self.config.rewards
        defaulted = any(v.path == "rewards.0.type" and v.origin == NO_REWARD for v in self.values)
        if defaulted:
            logger.info("no reward is set; %s is the default", rewards[0].type)
        try:
            scorer = build_scorer(rewards, self.plugins)
            scorer.check(columns)
        except DataError as error:
            text = str(error)
            for column, lacking in (partial or {}).items():
                text += f"; {', '.join(lacking)} lacks {column}"
            if defaulted:
                text = (
                    f"{self.config.algo} learns from rewards, and none is set: {text}, and "
                    f"{rewards[0].type!r} is the default; {_other_rewards(self.plugins)}"
                )
            raise DataError(text) from error
        self.reward_model = trained_reward_model(self.config, self.plugins)
        scorer.load()
        return scorer


def leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, Any, bool, Any]]:
    """Yield (full path, value, whether it was set, default) of every field below a section."""
    for name, spec in type(section).model_fields.items():
        path, value = f"{prefix}{name}", getattr(section, name)
        if isinstance(value, Section):
            yield from leaves(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(item, Section) for item in value):
            for index, item in enumerate(value):
                yield from leaves(item, f"{path}.{index}.")
        else:
            yield (
                path,
                value,
                name in section.model_fields_set,
                spec.get_default(call_default_factory=True),
            )


def _rl_default(section: Section, name: str, default: Any) -> Any:
    return extra_of(type(section).model_fields[name]).get("rl", default)


def make_plan(
    config: RunConfig, *, hardware: Hardware | None = None, plugins: Plugins | None = None
) -> Plan:
    """Resolve names, bend defaults, check every field, and say where each value goes.

    Args:
        config: the configuration; it is not changed.
        hardware: what the run will find; None leaves defaults that depend on it as they are.
        plugins: the plugins to use; None takes those of the process, under `config.plugins`.

    Raises:
        ConfigError: for fields that the run would not use, or that contradict each other.
        NotRegisteredError, ConflictError, UnavailableError: for names that do not resolve here.
    """
    plugins = plugins or _plugins_for(config)
    choice, missing = _found(config, plugins)
    facts = choice.algorithm.facts
    table: ParameterTable = import_target(
        facts.parameters, f"algorithm {choice.algorithm.name!r} of {choice.algorithm.owner}"
    )
    if facts.kind != config.kind:
        kinds = ["an SFTConfig", "a UnifiedConfig"]
        reads, given = kinds if facts.kind == "sft" else reversed(kinds)
        what = f"{choice.algorithm.name!r} reads {reads}, not {given}"
        hint = f"use `create_{facts.kind}_trainer`, or `type: {facts.kind}`"
        raise ConfigError(placed(Problem("algo", what, hint=hint), config))
    config = _copy(config)
    bent = _default_reward(config, facts, plugins) | default_tasks(config, facts)
    derived, problems = settle_rewards(config, facts, plugins)
    if facts.rewards != "none":
        problems += trained_reward_model_problems(config, plugins)
    switches, refused = settle_evaluation(config, plugins)
    problems += refused
    bent |= derived | switches | _bend(config, facts, table, hardware) | cap_steps(config)
    better, refused = settle_best(config, plugins, table.measures)
    problems += refused
    bent |= better
    values, wrong = _values(config, table, bent)
    problems += wrong
    for check in table.checks:
        problems.extend(check(config))
    if hardware is not None:
        for here in table.here:
            problems.extend(here(config, hardware))
    problems.extend(_reward_problems(config, facts, plugins))
    if missing and not problems:
        raise NotRegisteredError("\n".join(missing))
    if problems:
        told = [Problem("", name) for name in missing]
        raise ConfigError([*told, *(placed(problem, config) for problem in problems)])
    plan = Plan(
        config,
        choice.algorithm,
        choice.backend,
        choice.why,
        table,
        values,
        plugins,
        table.lines(config),
    )
    plugins.call("aligntune_config_resolved", plan=plan)
    return plan


def _found(config: RunConfig, plugins: Plugins) -> tuple[Choice, list[str]]:
    """Choose algorithm and backend; say which names of rewards and evaluators are not there.

    Raises:
        NotRegisteredError: if algorithm or backend are not there, with all that is not.
    """
    choice, missing = None, []
    try:
        choice = choose(config, plugins)
    except NotRegisteredError as error:
        missing.append(str(error))
    listed: Iterable[tuple[str, Any, Sequence[RewardConfig | EvaluatorConfig]]] = (
        ("rewards", plugins.rewards, config.rewards),
        ("evaluation.evaluators", plugins.evaluators, config.evaluation.evaluators),
    )
    for path, registry, items in listed:
        for index, item in enumerate(items):
            if isinstance(item, RewardConfig) and item.type == "custom":
                continue
            try:
                plugins.find(registry, item.type)
            except NotRegisteredError as error:
                at = f"{path}.{index}.type"
                before = recalled(registry.kind, item.type, at, config)
                said = f"{error}; {before}" if before else error
                missing.append(str(not_registered(at, said, config)))
    missing.extend(_no_fitness(config, plugins))
    if choice is None:
        raise NotRegisteredError("\n".join(dict.fromkeys(missing)))
    return choice, list(dict.fromkeys(missing))


def _no_fitness(config: RunConfig, plugins: Plugins) -> Iterator[str]:
    """Say that `meta_es.fitness` is neither a registered reward nor a function of the run.

    Functions are called as they say themselves; to know it, those that are named are imported.
    """
    name = config.meta_es.fitness
    if name is None:
        return
    try:
        plugins.find(plugins.rewards, name)
    except NotRegisteredError as error:
        if name not in _functions(config):
            yield str(not_registered("meta_es.fitness", error, config))


def _functions(config: RunConfig) -> Iterator[str]:
    """What the custom rewards of a run are called."""
    for reward in config.rewards:
        given = reward.params.get("reward_function")
        if reward.type == CUSTOM and given is not None:
            function = load_reward(given) if isinstance(given, str) else given
            yield getattr(function, "name", "") or name_of(function)


def _plugins_for(config: RunConfig) -> Plugins:
    asked = config.plugins
    if asked.only is None and not asked.without and not asked.strict:
        return plugins_module.get()
    return plugins_module.switched(asked.only, asked.without, asked.strict)


def _copy(config: RunConfig) -> RunConfig:
    """A copy whose sections can be changed; values inside them are shared."""
    copied = config.model_copy()
    for name in type(copied).model_fields:
        value = getattr(copied, name)
        if isinstance(value, Section):
            copied.__dict__[name] = value.model_copy()
        elif isinstance(value, list):
            copied.__dict__[name] = [v.model_copy() if isinstance(v, Section) else v for v in value]
    return copied


def _bend(
    config: RunConfig, facts: AlgorithmFacts, table: ParameterTable, hardware: Hardware | None
) -> dict[str, str]:
    """Set unset fields to the paper's or the hardware's value; return why, by path."""
    why: dict[str, str] = {}
    for path, value in facts.defaults.items():
        section, name = _at(config, path)
        if name not in section.model_fields_set:
            section.__dict__[name] = value
            why[path] = f"default of {facts.paper or 'the algorithm'}"
    for path, bend in table.bends:
        section, name = _at(config, path)
        if name in section.model_fields_set and getattr(section, name) != PrecisionType.AUTO:
            continue  # `auto` asks for what an unset value gets
        found = bend(config, hardware)
        if found is not None:
            section.__dict__[name], why[path] = found[0], f"default, {found[1]}"
    return why


def _default_reward(config: RunConfig, facts: AlgorithmFacts, plugins: Plugins) -> dict[str, str]:
    """Put the algorithm's default reward where none is set; return why, by path."""
    name = facts.default_reward
    judged = config.model.reward_model_name or config.model.reward_model_source
    if config.rewards or judged or not name or not plugins.rewards.matching(name):
        return {}
    config.__dict__["rewards"] = [RewardConfig(type=name)]
    return {"rewards.0.type": NO_REWARD}


def _at(config: RunConfig, path: str) -> tuple[Section, str]:
    section: Any = config
    *parents, name = path.split(".")
    for parent in parents:
        section = section[int(parent)] if parent.isdigit() else getattr(section, parent)
    return section, name


def _values(
    config: RunConfig, table: ParameterTable, bent: dict[str, str]
) -> tuple[list[Value], list[Problem]]:
    found = list(leaves(config))
    flat = {path: value for path, value, _, _ in found}
    values, problems = [], []
    for path, value, was_set, declared in found:
        section, name = _at(config, path)
        default = _rl_default(section, name, declared) if config.kind == "rl" else declared
        use = table.use(path)
        required = default is PydanticUndefined
        changed = was_set and value != default and (not required or _is_optional(path))
        destination, wrong = _judged(use, value, flat)
        if wrong and (changed or (was_set and isinstance(use, Fixed))):
            said = _said(path, value, config)
            problems.append(Problem(path, f"{said} would not be used: {wrong}"))
        origin = _origin(path, config, bent, was_set)
        used = not wrong and not isinstance(use, Fixed)
        values.append(Value(path, value, origin, destination, used))
    return values, problems


def _is_optional(path: str) -> bool:
    """Whether a required field is one of what need not be there, such as an evaluator.

    That rewards would not be used, `_reward_problems` says.
    """
    return any(part.isdigit() for part in path.split(".")) and not path.startswith("rewards.")


def unused(config: RunConfig, table: ParameterTable) -> list[Problem]:
    """What somebody set and a run with this table would not use."""
    return _values(config, table, {})[1]


def _judged(use: Use, value: Any, flat: dict[str, Any]) -> tuple[str, str]:
    """Where a value goes, and why the run would not use it (empty if it would)."""
    wrong = ""
    if isinstance(use, Refused):
        wrong = use.because
    elif isinstance(use, Fixed):
        return str(use), "" if value in use.values else f"it is {use}"
    elif use.when is not None and not use.when.holds(flat):
        wrong = f"it is used only when {use.when}"
    return f"not used: {wrong}" if wrong else str(use), wrong


def _origin(path: str, config: RunConfig, bent: dict[str, str], was_set: bool) -> str:
    if path in bent:
        return bent[path]
    if was_set:
        return config.origins.get(path, "Python")
    return "default"


def _said(path: str, value: Any, config: RunConfig) -> str:
    if is_secret_name(path) or from_secret(place(path, config.origins)):
        return "a value that is not shown"
    return _short(value)


def _short(value: Any) -> str:
    text = str(getattr(value, "value", value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _other_rewards(plugins: Plugins) -> str:
    """What could be set where the data have no reference, in words."""
    known = sorted(entry.name for entry in plugins.rewards if not entry.facts.requires)
    return f"set `rewards: [{{type: ...}}]`; without a reference: {', '.join([*known, 'custom'])}"


def _rewards_to_set(plugins: Plugins) -> str:
    """What a run that has no reward could be given, in words."""
    here = [entry for entry in plugins.rewards if not missing_packages(entry.facts)]
    compares = {entry.name: "reference" in entry.facts.requires for entry in here}
    free, compared = (sorted(n for n in compares if compares[n] is kind) for kind in (False, True))
    text = f"set `rewards: [{{type: ...}}]`; available: {', '.join([*free, 'custom'])}"
    if compared:
        text += f"; where rows have a reference: {', '.join(compared)}"
    text += "; `custom` is a function of yours: `params: {reward_function: module:name}`"
    if "reward_model" in compares:
        text += "; `model.reward_model_name` names a reward model"
    return text


def _reward_problems(config: RunConfig, facts: AlgorithmFacts, plugins: Plugins) -> list[Problem]:
    name = config.algo
    if facts.rewards == "required" and not config.rewards:
        message = f"{name} learns from rewards, and none is set"
        return [Problem("rewards", message, hint=_rewards_to_set(plugins))]
    if facts.rewards == "none" and config.rewards:
        return [Problem("rewards", f"{name} does not learn from rewards", hint="leave them out")]
    unnamed = [
        Problem(
            f"rewards.{index}.params.reward_function",
            "a custom reward is a function of yours, and none is named",
            hint='name one, as "package.module:name"',
        )
        for index, reward in enumerate(config.rewards)
        if reward.type == CUSTOM
        and "reward_function" not in reward.params
        and not plugins.rewards.matching(CUSTOM)
    ]
    if config.distributed.num_processes == 1:
        return unnamed
    return unnamed + [
        Problem(
            f"rewards.{index}.normalize",
            f"each of {config.distributed.num_processes} processes would normalize by its own "
            "completions alone",
            hint="use `range`, or leave it out",
        )
        for index, reward in enumerate(config.rewards)
        if reward.normalize not in (False, "range")
    ]
