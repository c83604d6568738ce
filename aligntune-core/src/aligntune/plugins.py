"""Finds, checks and loads plugins: stevedore finds and imports, pluggy calls, the registry keeps.

A plugin is one entry point of the group `aligntune` that points at a light manifest module. Off
switches and compatibility are decided from metadata, before anything of the plugin is imported. A
plugin that fails is rolled back and listed with its reason; the others work on.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import pluggy
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version
from stevedore.extension import Extension, ExtensionManager

from aligntune import hookspecs
from aligntune.errors import AlignTuneError, NotRegisteredError, PluginError, describe
from aligntune.facts import AlgorithmFacts, BackendFacts, EvaluatorFacts, RewardFacts, TaskFacts
from aligntune.registry import RUNTIME_OWNER, Entry, Owner, Registries, Registry

__all__ = ["GROUP", "PluginRecord", "Plugins", "Register", "Switches", "configure", "get"]

GROUP = "aligntune"
CORE = "aligntune-core"
F = TypeVar("F", BackendFacts, AlgorithmFacts, RewardFacts, EvaluatorFacts, TaskFacts)

Status = Literal["loaded", "failed", "disabled", "incompatible"]


def normalised(name: str) -> str:
    """The comparable form of a distribution or entry-point name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Switches:
    """Which plugins may load, by entry-point or distribution name.

    `only` (if not None) is an allow-list, `without` a deny-list; `strict` raises on the first
    plugin that fails. The environment variables `ALIGNTUNE_PLUGINS`, `ALIGNTUNE_DISABLE_PLUGINS`
    (comma-separated) and `ALIGNTUNE_STRICT_PLUGINS` add to what a configuration or a call says.
    """

    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    strict: bool = False

    @classmethod
    def make(
        cls, only: Iterable[str] | None = None, without: Iterable[str] = (), strict: bool = False
    ) -> Switches:
        allowed = None if only is None else frozenset(map(normalised, only))
        env_only = os.environ.get("ALIGNTUNE_PLUGINS")
        if env_only is not None:
            named = frozenset(map(normalised, _listed(env_only)))
            allowed = named if allowed is None else allowed & named
        denied = {*without, *_listed(os.environ.get("ALIGNTUNE_DISABLE_PLUGINS", ""))}
        strict = strict or os.environ.get("ALIGNTUNE_STRICT_PLUGINS", "0") not in ("", "0")
        return cls(allowed, frozenset(map(normalised, denied)), strict)

    def reason_off(self, owner: Owner) -> str | None:
        """Why this plugin must not load, or None."""
        names = {normalised(owner.name), normalised(owner.distribution)}
        if names & self.without:
            return "switched off by the deny-list"
        if self.only is not None and not names & self.only:
            return "not on the allow-list"
        return None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@dataclass
class PluginRecord:
    """What became of one installed plugin."""

    owner: Owner
    status: Status
    reason: str = ""
    provides: dict[str, list[str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.owner.name,
            "distribution": self.owner.distribution,
            "version": self.owner.version,
            "status": self.status,
            "reason": self.reason,
            "provides": self.provides,
        }


class Register(Generic[F]):
    """What a registration hook is given: `register(name, target, **facts)`.

    `target` is `"module:attribute"`, imported when somebody asks for the name. The keyword
    arguments are the fields of the facts class of the hook (`aligntune.facts`).
    """

    def __init__(self, plugins: Plugins, registry: Registry[F], facts: type[F]) -> None:
        self._plugins = plugins
        self._registry: Registry[F] = registry
        self._facts: type[F] = facts

    def __call__(self, name: str, target: object, **facts: Any) -> None:
        owner = self._plugins.current_owner
        entry = Entry(self._registry.kind, name, target, self._facts(**facts), owner)
        self._registry.add(entry)


class _Discovery(ExtensionManager[Any]):
    """stevedore's manager over live metadata, with one door for whatever a plugin raises.

    stevedore's own listing is a disk cache that loses the distribution of an entry point and hides
    packages installed while the process runs. SystemExit and AssertionError would pass its failure
    callback, and one plugin would end the process.
    """

    def __init__(self, entry_points: list[importlib.metadata.EntryPoint]) -> None:
        self._entry_points = entry_points
        self.failures: dict[importlib.metadata.EntryPoint, BaseException] = {}
        super().__init__(GROUP, on_load_failure_callback=self._failed)

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        return self._entry_points

    def _load_one_plugin(
        self, ep: importlib.metadata.EntryPoint, *args: Any, **kwargs: Any
    ) -> Extension[Any] | None:
        try:
            return super()._load_one_plugin(ep, *args, **kwargs)
        except (SystemExit, AssertionError) as error:
            raise PluginError(describe(error)) from error

    @staticmethod
    def _failed(manager: Any, ep: importlib.metadata.EntryPoint, error: BaseException) -> None:
        manager.failures[ep] = error


class Plugins:
    """The installed plugins and everything they registered."""

    def __init__(self, switches: Switches | None = None) -> None:
        self.switches = switches or Switches.make()
        self.records: list[PluginRecord] = []
        self.registries = Registries()
        self.current_owner: Owner = RUNTIME_OWNER
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._call_registration_hooks()
        self.discover()

    @property
    def backends(self) -> Registry[BackendFacts]:
        return self.registries.backends

    @property
    def algorithms(self) -> Registry[AlgorithmFacts]:
        return self.registries.algorithms

    @property
    def rewards(self) -> Registry[RewardFacts]:
        return self.registries.rewards

    @property
    def evaluators(self) -> Registry[EvaluatorFacts]:
        return self.registries.evaluators

    @property
    def tasks(self) -> Registry[TaskFacts]:
        return self.registries.tasks

    def _call_registration_hooks(self) -> None:
        # Historic calls come first: pluggy repeats them for each plugin as it is registered, so an
        # error surfaces at the plugin that made it.
        hook, all_ = self._manager.hook, self.registries
        hook.aligntune_register_backends.call_historic(
            kwargs={"register": Register(self, all_.backends, BackendFacts)}
        )
        hook.aligntune_register_algorithms.call_historic(
            kwargs={"register": Register(self, all_.algorithms, AlgorithmFacts)}
        )
        hook.aligntune_register_rewards.call_historic(
            kwargs={"register": Register(self, all_.rewards, RewardFacts)}
        )
        hook.aligntune_register_evaluators.call_historic(
            kwargs={"register": Register(self, all_.evaluators, EvaluatorFacts)}
        )
        hook.aligntune_register_tasks.call_historic(
            kwargs={"register": Register(self, all_.tasks, TaskFacts)}
        )

    def discover(self) -> list[PluginRecord]:
        """Load every plugin that is installed now and was not seen before; return what is new."""
        seen = {record.owner for record in self.records}
        admitted: list[tuple[importlib.metadata.EntryPoint, Owner]] = []
        new: list[PluginRecord] = []
        for ep, owner in _installed():
            if owner in seen:
                continue
            if (off := self.switches.reason_off(owner)) is not None:
                new.append(PluginRecord(owner, "disabled", off))
                continue
            try:
                clash = _incompatible(ep)
            except (InvalidRequirement, InvalidVersion) as broken:
                new.append(PluginRecord(owner, "failed", f"its metadata is broken: {broken}"))
                continue
            if clash is not None:
                new.append(PluginRecord(owner, "incompatible", clash))
            else:
                admitted.append((ep, owner))
        discovery = _Discovery([ep for ep, _ in admitted])
        loaded = {extension.entry_point: extension.plugin for extension in discovery.extensions}
        for ep, owner in admitted:
            error = discovery.failures.get(ep)
            new.append(self._register(owner, loaded.get(ep), error))
        new.sort(key=lambda record: (record.owner.name, record.owner.distribution))
        self.records.extend(new)
        if self.switches.strict:
            for record in new:
                if record.status in ("failed", "incompatible"):
                    raise PluginError(
                        f"plugin {record.owner.name!r} of {record.owner}: {record.reason}"
                    )
        return new

    def _register(self, owner: Owner, module: Any, error: BaseException | None) -> PluginRecord:
        if error is None:
            try:
                self._register_module(owner, module)
            except (Exception, SystemExit) as raised:  # noqa: BLE001 (the boundary that names it)
                error = raised
        if error is not None:
            return PluginRecord(owner, "failed", describe(error))
        provides = {
            registry.kind: names
            for registry in self.registries.all()
            if (names := registry.owned_by(owner))
        }
        return PluginRecord(owner, "loaded", provides=provides)

    def _register_module(self, owner: Owner, module: Any) -> None:
        self.current_owner = owner
        name = f"{owner.distribution}/{owner.name}"
        try:
            _refuse_unmarked(module)
            self._manager.register(module, name=name)
            self._manager.check_pending()
        except BaseException:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self.registries.remove_owner(owner)
            raise
        finally:
            self.current_owner = RUNTIME_OWNER

    def add_commands(self, app: Any) -> list[str]:
        """Let every plugin add its commands to the command line; return what went wrong."""
        return [
            f"plugin {owner.name!r} of {owner} added no commands: {describe(error)}"
            for owner, _, error in self._call("aligntune_cli_commands", app=app)
            if error is not None
        ]

    def implements(self, hook: str) -> bool:
        """Whether any plugin has this life-cycle hook."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def call(self, hook: str, **arguments: Any) -> list[Any]:
        """Call a life-cycle hook in every plugin; return the results that are not None.

        Raises:
            AlignTuneError: as a plugin raised it.
            PluginError: for any other exception of a plugin; names the plugin.
        """
        results = []
        for owner, result, error in self._call(hook, **arguments):
            if isinstance(error, AlignTuneError):
                raise error
            if error is not None:
                raise PluginError(
                    f"plugin {owner.name!r} of {owner} failed in {hook}: {describe(error)}"
                ) from error
            results.extend(result)
        return results

    def _call(
        self, hook: str, **arguments: Any
    ) -> Iterator[tuple[Owner, list[Any], BaseException | None]]:
        """Call a hook plugin by plugin, so that what is raised has an owner."""
        owners = {f"{r.owner.distribution}/{r.owner.name}": r.owner for r in self.records}
        plugins = self._manager.get_plugins()
        for name, plugin in self._manager.list_name_plugin():
            caller = self._manager.subset_hook_caller(hook, plugins - {plugin})
            try:
                yield owners[name], caller(**arguments), None
            except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary that names it)
                yield owners[name], [], error

    def find(self, registry: Registry[F], name: str, *, backend: str | None = None) -> Entry[F]:
        """Look a name up, reading the metadata again first if it is not there.

        Raises:
            NotRegisteredError: if nothing provides it; names plugins that failed or are off.
            ConflictError: if two distributions claim it.
        """
        if not registry.matching(name):
            self.discover()
        try:
            return registry.get(name, backend=backend)
        except NotRegisteredError:
            raise NotRegisteredError(self.missing(registry, name)) from None

    def missing(self, registry: Registry[Any], name: str) -> str:
        """The message for a name that is not there, with the plugins that failed or are off."""
        silent: dict[str, str] = {}
        for record in self.records:
            if record.status == "loaded":
                continue
            owner = record.owner
            why = f"plugin {owner.name!r} of {owner} is {record.status} ({record.reason})"
            known = silent.get(owner.distribution)
            silent[owner.distribution] = f"{known}; {why}" if known else why
        return registry.missing(name, silent)


def _refuse_unmarked(module: Any) -> None:
    """Refuse a manifest that defines a hook without the marker: pluggy would pass it over."""
    for name in vars(hookspecs):
        function = getattr(module, name, None)
        is_hook = name.startswith(f"{GROUP}_") and callable(function)
        if is_hook and not hasattr(function, f"{GROUP}_impl"):
            raise PluginError(f"{name} is not marked with @hookimpl (aligntune.hookimpl)")


def _named(dist: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution; a half-removed one has no metadata that says them."""
    if dist is None:
        return "unknown", ""
    metadata = dist.metadata
    said = {key: metadata[key] for key in ("Name", "Version") if key in metadata}
    return said.get("Name", "unknown"), said.get("Version", "")


def _installed() -> list[tuple[importlib.metadata.EntryPoint, Owner]]:
    """Every entry point of the group with its distribution, from live metadata, sorted by name."""
    found: dict[tuple[str, str, str], tuple[importlib.metadata.EntryPoint, Owner]] = {}
    for ep in importlib.metadata.entry_points(group=GROUP):
        dist = ep.dist
        name, version = _named(dist)
        # The same distribution can be listed twice when two folders of sys.path hold it.
        found.setdefault((ep.name, normalised(name), ep.value), (ep, Owner(ep.name, name, version)))
    return [found[key] for key in sorted(found)]


def _incompatible(ep: importlib.metadata.EntryPoint) -> str | None:
    """Why the core that the plugin's metadata asks for is not this one, or None."""
    core = Version(importlib.metadata.version(CORE))
    for text in (ep.dist.requires if ep.dist is not None else None) or []:
        requirement = Requirement(text)
        if normalised(requirement.name) != CORE:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        if requirement.specifier.contains(core, prereleases=True):
            continue
        dist = ep.dist.name if ep.dist is not None else ep.name
        lower = [s for s in requirement.specifier if s.operator in (">=", ">", "==", "~=")]
        newer = any(Version(s.version.removesuffix(".*")) > core for s in lower)
        mend = (
            f'pip install --upgrade "{CORE}{requirement.specifier}"'
            if newer
            else (f"pip install --upgrade {dist}")
        )
        return f"it needs {CORE}{requirement.specifier}, and {core} is installed: {mend}"
    return None


_current: Plugins | None = None


def get() -> Plugins:
    """The plugins of this process, discovered on first use."""
    global _current  # noqa: PLW0603 (one set of plugins per process)
    if _current is None:
        _current = Plugins()
    return _current


def configure(
    only: Iterable[str] | None = None, without: Iterable[str] = (), strict: bool = False
) -> Plugins:
    """Discover the plugins anew with these switches, and make them those of the process.

    What was registered at run time stays.

    Raises:
        PluginError: with `strict`, on the first plugin that fails or is incompatible.
    """
    global _current  # noqa: PLW0603 (one set of plugins per process)
    _current = switched(only, without, strict)
    return _current


def switched(
    only: Iterable[str] | None = None, without: Iterable[str] = (), strict: bool = False
) -> Plugins:
    """The same for one run alone: those of the process stay as they are."""
    fresh = Plugins(Switches.make(only, without, strict))
    if _current is not None:
        for old, new in zip(_current.registries.all(), fresh.registries.all(), strict=True):
            for entry in old:
                if entry.owner is RUNTIME_OWNER:
                    new.add(entry)
    return fresh
