"""Where every field goes in Meta-ES: to the evolution strategy, or to the runs inside.

A field that is no matter of Meta-ES goes where the inner algorithm takes it, and what that refuses
is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aligntune.errors import Problem, did_you_mean
from aligntune.plan.parameters import Bend, Check, Ours, ParameterTable, Refused, Use, When
from aligntune_trl.fields.machine import check_machine

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["INNER", "meta_es_table"]

# The algorithms that the runs inside can have, of which the first is the default.
INNER = ("grpo", "gspo", "dr_grpo", "dapo", "neural_mirror_grpo")
OF_MAPS = "neural_mirror_grpo"
_FIELD = "meta_es.inner_algorithm"

Tables = Mapping[str, ParameterTable]


class _Logged(When):
    """A condition: the loggers have this one among them."""

    def holds(self, values: Mapping[str, Any]) -> bool:
        return self.values[0] in (values.get(self.path) or ())

    def __str__(self) -> str:
        return f"`{self.path}` has {self.values[0]}"


_OWN: dict[str, Use] = {
    "meta_es.evolve": Ours("what a candidate's vector stands for"),
    _FIELD: Ours("the trainer of the runs inside"),
    "meta_es.fitness": Ours("the reward that fitness is measured by"),
    "meta_es.fitness_shaping": Ours("the gradient: of fitness, or of its ranks"),
    "meta_es.meta_iterations": Ours("iterations, at most"),
    "meta_es.patience": Ours("when to stop: iterations without improvement"),
    "meta_es.min_delta": Ours("when to stop: what counts as improvement"),
    "meta_es.init_scale": Ours("the vector to start from: noise on what is configured"),
    "meta_es.N": Ours("candidates per iteration"),
    "meta_es.T": Ours("GRPOConfig.max_steps of a candidate"),
    "meta_es.sigma": Ours("the noise of candidates"),
    "meta_es.sigma_decay": Ours("the noise of candidates"),
    "meta_es.alpha": Ours("the step of the vector"),
    "meta_es.mirror_coefficient": Ours("the step of the vector"),
    "meta_es.debug_mode": Ours("logs every candidate, and keeps what it wrote"),
    "meta_es.eval_timeout": Ours("scoring a completion of the evaluation data"),
    "meta_es.eval_max_tokens": Ours("completions of the evaluation data"),
    "meta_es.eval_k": Ours("completions of the evaluation data"),
    "meta_es.eval_temperature": Ours("completions of the evaluation data"),
    "meta_es.num_workers": Ours("processes that run candidates"),
    "meta_es.no_wandb": Ours("refuses wandb among `logging.loggers`"),
    "meta_es.wandb_project": Ours(
        "WANDB_PROJECT of the last run", when=_Logged("logging.loggers", ("wandb",))
    ),
    "meta_es.resume": Ours("the run whose finished candidates are taken over"),
}


def _uses(inner: Tables) -> dict[str, Use]:
    """The rows of the inner algorithms, each where it is used."""
    first = inner[INNER[0]].uses
    found: dict[str, Use] = {}
    for path in dict.fromkeys(path for table in inner.values() for path in table.uses):
        rows = {name: table.uses.get(path) for name, table in inner.items()}
        users = tuple(n for n, use in rows.items() if use and not isinstance(use, Refused))
        if path in first and len(users) in (0, len(inner)):
            found[path] = first[path]
        elif users:
            found[path] = Ours("the runs inside", when=When(_FIELD, users))
    return found | _OWN


def _default_evolve(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str]:
    weighed = [reward for reward in config.rewards if reward.weight]
    if len(weighed) > 1:
        return ["reward_weights"], f"{len(weighed)} rewards are weighed"
    return ["mirror_map"], "there are no weights between rewards"


def _default_inner(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str]:
    if "mirror_map" in (config.meta_es.evolve or []):
        return OF_MAPS, "a mirror map evolves"
    return INNER[0], "rewards are compared within groups"


def _default_steps(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if "epochs" in config.train.model_fields_set:
        return None
    return config.meta_es.T, "as long as a candidate"


def _for(name: str, bend: Bend) -> Bend:
    def bent(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
        return bend(config, hardware) if config.meta_es.inner_algorithm == name else None

    return bent


def _constant(value: Any, why: str) -> Bend:
    return lambda config, hardware: (value, why)


def _bends(inner: Tables) -> tuple[tuple[str, Bend], ...]:
    """The defaults of Meta-ES, then those of the algorithm inside."""
    from aligntune_trl.plugin import ALGORITHMS

    facts = {algorithm.name: algorithm.facts for algorithm in ALGORITHMS}
    of_papers = [
        (path, _for(name, _constant(value, f"{facts[name].get('paper', name)}")))
        for name in inner
        for path, value in facts[name].get("defaults", {}).items()
    ]
    of_tables = [
        (path, _for(name, bend)) for name, table in inner.items() for path, bend in table.bends
    ]
    return (
        ("meta_es.evolve", _default_evolve),
        (_FIELD, _default_inner),
        ("train.max_steps", _default_steps),
        *of_papers,
        *of_tables,
    )


def _check_evolved(config: RunConfig) -> Iterable[Problem]:
    es = config.meta_es
    what = es.evolve or []
    weighed = sum(bool(reward.weight) for reward in config.rewards)
    if len(set(what)) != len(what):
        yield Problem("meta_es.evolve", f"{what[0]} is named twice", hint="name it once")
    if "reward_weights" in what and weighed < 2:
        message = f"there is nothing to weigh: {weighed} rewards have a weight other than 0"
        yield Problem("meta_es.evolve", message, hint="set more `rewards`, or evolve `mirror_map`")
    if "mirror_map" in what:
        yield from _check_map(config)


def _check_map(config: RunConfig) -> Iterable[Problem]:
    """A mirror map that evolves must be there, count, and begin where Meta-ES says."""
    train, inner = config.train, config.meta_es.inner_algorithm
    if inner not in INNER:  # which is refused by itself
        return
    if inner != OF_MAPS:
        message = f"{inner!r} has no mirror map to evolve"
        hint = f"use {OF_MAPS}, or `meta_es.evolve: [reward_weights]`"
        yield Problem(_FIELD, message, hint=hint)
        return
    if train.mirror_divergence != "neural":
        message = f"{train.mirror_divergence!r} has no mirror map to evolve"
        yield Problem("train.mirror_divergence", message, hint="leave it out")
    if train.mirror_coef == 0:
        message = "the divergence does not count, and its mirror map is to evolve"
        yield Problem("train.mirror_coef", message, hint="raise it")
    if "mirror_init_scale" in train.model_fields_set:
        message = "the mirror map evolves from one of `meta_es.init_scale`"
        yield Problem("train.mirror_init_scale", message, hint="set that instead")


def _check_fitness(config: RunConfig) -> Iterable[Problem]:
    es = config.meta_es
    if not config.has_evaluation_data:
        message = "a candidate's fitness is measured on evaluation data, and there is none"
        hint = "set it, or `datasets.0.val_size`"
        yield Problem("eval_datasets", message, hint=hint)
    if es.eval_k > 1 and not es.eval_temperature:
        message = f"{es.eval_k} completions at temperature 0 are all the same"
        yield Problem("meta_es.eval_k", message, hint="set `meta_es.eval_temperature`, or use 1")


def _check_wandb(config: RunConfig) -> Iterable[Problem]:
    if config.meta_es.no_wandb and "wandb" in config.logging.loggers:
        message = "true, and `logging.loggers` has wandb"
        yield Problem("meta_es.no_wandb", message, hint="keep one of them")


def _check_inner(inner: Tables, outer: Mapping[str, Use]) -> Check:
    """What the inner algorithm says of the configuration."""

    def check(config: RunConfig) -> Iterable[Problem]:
        from aligntune.plan.plan import unused

        name = str(config.meta_es.inner_algorithm)
        if name not in inner:
            known = ", ".join(inner)
            hint = did_you_mean(name, inner) or f"use one of {known}"
            yield Problem(_FIELD, f"no run inside can be {name!r}", hint=hint)
            return
        around = ParameterTable(outer)
        for problem in unused(config, inner[name]):
            ours = isinstance(use := around.use(problem.path), Refused) or _conditional(use)
            if not (ours or problem.path.startswith(("meta_es.", "algo"))):
                yield problem
        for own in inner[name].checks:
            yield from own(config)

    return check


def _conditional(use: Use) -> bool:
    """Whether the outer table itself tells for which inner algorithm a field is."""
    return isinstance(use, Ours) and use.when is not None and use.when.path == _FIELD


def _lines(inner: Tables) -> Callable[[RunConfig], list[str]]:
    def lines(config: RunConfig) -> list[str]:
        es = config.meta_es
        what = " and ".join(name.replace("_", " ") for name in es.evolve or [])
        runs = es.meta_iterations * es.N
        most = f"at most {es.meta_iterations} iterations of {es.N} candidates"
        return [
            f"evolves {what}: {most}, each {es.T} steps of {es.inner_algorithm}",
            f"that is {runs} runs and {runs * es.T} steps, {es.num_workers} at once",
            "the last run, with the best, gives the model",
            *inner[str(es.inner_algorithm)].lines(config),
        ]

    return lines


def meta_es_table(model: dict[str, Use]) -> ParameterTable:
    """The table of Meta-ES, given the fields of the model section."""
    from aligntune_trl.parameters import TABLES

    inner = {name: TABLES[name](model) for name in INNER}
    uses = _uses(inner)
    return ParameterTable(
        uses,
        _bends(inner),
        (_check_evolved, _check_fitness, _check_wandb, _check_inner(inner, uses)),
        _lines(inner),
        (check_machine,),
    )
