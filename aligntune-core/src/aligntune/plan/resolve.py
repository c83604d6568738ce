"""Which backend runs the algorithm, from registered facts alone, and why."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

from packaging.requirements import Requirement

from aligntune.config import RunConfig
from aligntune.errors import ConfigError, NotRegisteredError, Problem, UnavailableError
from aligntune.facts import AlgorithmFacts, BackendFacts
from aligntune.plan.tasks import algorithm_of_task
from aligntune.plan.told import not_registered
from aligntune.plugins import Plugins
from aligntune.registry import Entry, import_target

__all__ = ["Choice", "choose", "missing_requirement"]


@dataclass(frozen=True)
class Choice:
    """The algorithm and the backend of a run, and why this backend."""

    algorithm: Entry[AlgorithmFacts]
    backend: Entry[BackendFacts]
    why: str


def missing_requirement(requirements: tuple[str, ...]) -> str | None:
    """The first requirement that is not installed in a fitting version, in words, or None."""
    for text in requirements:
        requirement = Requirement(text)
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            return f"{requirement.name} is not installed"
        if not requirement.specifier.contains(version, prereleases=True):
            return f"{requirement.name} {version} is installed and {text} is needed"
    return None


def unusable(backend: Entry[BackendFacts]) -> str | None:
    """Why a backend cannot work in this process, or None."""
    missing = missing_requirement(backend.facts.requires)
    if missing is not None:
        return missing
    if backend.facts.check is None:
        return None
    reason = import_target(backend.facts.check, f"backend {backend.name!r} of {backend.owner}")()
    return None if reason is None else str(reason)


def choose(config: RunConfig, plugins: Plugins) -> Choice:
    """Choose the backend: the one that was asked for, or the best that works here.

    Raises:
        NotRegisteredError: for an unknown algorithm or backend, or one that is not installed.
        UnavailableError: if the backend asked for, or every one, cannot work here.
        ConfigError: if `use_unsloth` or `use_trl` contradicts `backend`, or tasks each other.
    """
    path, wanted = _wanted(config)
    if wanted != "auto":
        return _asked_for(config, path, wanted, plugins)
    algo = algorithm_of_task(config, plugins)
    runs = plugins.algorithms.matching(algo)
    if not runs:  # it may have been installed while the process runs
        plugins.discover()
        algo = algorithm_of_task(config, plugins)
        runs = plugins.algorithms.matching(algo)
    if not runs:
        message = plugins.missing(plugins.algorithms, algo)
        raise not_registered("algo", message, config)
    passed: list[str] = []
    for backend in sorted(plugins.backends, key=lambda entry: -entry.facts.priority):
        if all(run.facts.backend != backend.name for run in runs):
            passed.append(f"{backend.name} does not run {algo}")
        elif (reason := unusable(backend)) is not None:
            passed.append(f"{backend.name} was passed over: {reason}")
        else:
            algorithm = plugins.find(plugins.algorithms, algo, backend=backend.name)
            return Choice(
                algorithm,
                backend,
                "; ".join([f"{backend.name} is the best that works here", *passed]),
            )
    raise UnavailableError(f"no backend can run {algo!r} here: {'; '.join(passed)}")


def _wanted(config: RunConfig) -> tuple[str, str]:
    """The field that names a backend, any of the three, and the backend."""
    named = {"backend": config.backend} if config.backend != "auto" else {}
    if config.model.use_unsloth:
        named["model.use_unsloth"] = "unsloth"
    if config.train.use_trl:
        named["train.use_trl"] = "trl"
    if len(set(named.values())) > 1:
        said = " and ".join(f"`{path}` says {backend!r}" for path, backend in named.items())
        origin = next((config.origins[path] for path in named if path in config.origins), "")
        raise ConfigError(Problem("backend", said, origin, "keep one of them"))
    return next(iter(named.items()), ("backend", "auto"))


def _asked_for(config: RunConfig, path: str, wanted: str, plugins: Plugins) -> Choice:
    try:
        backend = plugins.find(plugins.backends, wanted)
    except NotRegisteredError as error:
        raise not_registered(path, error, config) from None
    algo = algorithm_of_task(config, plugins)
    runs = plugins.algorithms.matching(algo)
    if runs and all(run.facts.backend != backend.name for run in runs):
        others = ", ".join(sorted({run.facts.backend for run in runs}))
        message = f"the backend {backend.name!r} does not run {algo!r}; it runs on: {others}"
        raise not_registered(path, message, config)
    try:
        algorithm = plugins.find(plugins.algorithms, algo, backend=backend.name)
    except NotRegisteredError as error:
        raise not_registered("algo", error, config) from None
    if (reason := unusable(backend)) is not None:
        raise UnavailableError(f"the backend {backend.name!r} cannot work here: {reason}")
    return Choice(algorithm, backend, "it was asked for")
