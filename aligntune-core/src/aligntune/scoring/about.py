"""What can be said of a reward without making one: its facts, its parameters, its docstring."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from aligntune.errors import AlignTuneError
from aligntune.scoring.adapt import as_reward, load_reward
from aligntune.scoring.build import missing_packages
from aligntune.scoring.protocol import RewardFunction

if TYPE_CHECKING:
    from aligntune.facts import RewardFacts
    from aligntune.plugins import Plugins
    from aligntune.registry import Entry

__all__ = ["About", "Parameter", "about", "facts_of", "install_command"]

_SECTIONS = ("Args", "Raises", "Returns", "Example", "Examples", "Note", "Attributes", "Yields")
_HEAD = re.compile(rf"^({'|'.join(_SECTIONS)}):\s*$")
_ARGUMENT = re.compile(r"^(?P<names>\*{0,2}\w+(?:, \w+)*)(?: \([^)]*\))?: (?P<says>.*)$")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a reward: its type and default as they are written, and what it means."""

    name: str
    type: str
    default: str | None
    """None where it must be given."""
    means: str


@dataclass(frozen=True)
class About:
    """A reward: the facts of its manifest, and what its class or function says."""

    facts: dict[str, Any]
    doc: str
    parameters: tuple[Parameter, ...]


def facts_of(entry: Entry[RewardFacts]) -> dict[str, Any]:
    """What the manifest says of a reward, as JSON values, and whether what it needs is here."""
    facts = entry.facts
    missing = missing_packages(facts)
    return {
        "name": entry.name,
        "distribution": entry.owner.distribution,
        "version": entry.owner.version,
        "target": entry.target if isinstance(entry.target, str) else "",
        "summary": facts.summary,
        "group": facts.group,
        "range": list(facts.range),
        "requires": list(facts.requires),
        "cost": facts.cost,
        "aliases": list(facts.aliases),
        "packages": list(facts.packages),
        "missing": missing,
        "available": not missing,
        "install": install_command(facts) if missing else "",
        "docs": facts.docs,
    }


def install_command(facts: RewardFacts) -> str:
    """The command that brings the packages that a reward needs."""
    wanted = [facts.install] if facts.install else list(facts.packages)
    return " ".join(["pip install", *(f'"{text}"' for text in wanted)])


def about(name: str, plugins: Plugins) -> About:
    """Describe a registered reward, or `"package.module:name"`.

    Raises:
        NotRegisteredError: if there is none, naming those that are close.
        PluginError: if it cannot be imported.
    """
    if ":" in name and not plugins.rewards.matching(name):
        target = load_reward(name)
        doc, args = _documented(target)
        facts = _declared(name, target) | {"summary": doc.partition("\n")[0]}
        return About(facts, doc, tuple(_parameters(target, args)))
    entry = plugins.find(plugins.rewards, name)
    target = entry.load()
    doc, args = _documented(target)
    return About(facts_of(entry), doc, tuple(_parameters(target, args)))


def _declared(name: str, target: Any) -> dict[str, Any]:
    """The facts of a reward that nobody registered, as far as it says them itself."""
    facts: dict[str, Any] = {"name": name, "target": name}
    if not (isinstance(target, type) and issubclass(target, RewardFunction)):
        try:
            target = as_reward(target)
        except AlignTuneError:  # a class that needs parameters says nothing about itself
            return facts
        requires = target.needs
    else:
        requires = target.requires
    return facts | {
        "range": list(target.range),
        "requires": sorted(requires),
        "cost": target.cost,
    }


def _documented(target: Any) -> tuple[str, dict[str, str]]:
    """The docstring without the section of its arguments, and what that says of each.

    A class inherits what its bases say of the parameters they have in common.
    """
    doc, args = _split(inspect.getdoc(target) or "")
    for base in getattr(target, "__mro__", ())[1:]:
        if base.__module__ != "builtins" and base.__doc__:
            args = _split(inspect.cleandoc(base.__doc__))[1] | args
    return doc, args


def _split(doc: str) -> tuple[str, dict[str, str]]:
    kept: list[str] = []
    args: dict[str, str] = {}
    names: list[str] = []
    inside = ""
    for line in doc.splitlines():
        head = _HEAD.match(line)
        if head is not None:
            inside = head[1]
        elif line and not line.startswith(" "):
            inside = ""
        if inside != "Args":
            kept.append(line)
            continue
        found = _ARGUMENT.match(line.strip())
        if found is not None and len(line) - len(line.lstrip()) <= 4:
            names = [name.strip(" *") for name in found["names"].split(",")]
            args |= dict.fromkeys(names, found["says"])
        elif line.strip() and head is None:
            args |= {name: f"{args[name]} {line.strip()}" for name in names}
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), args


def _parameters(target: Callable[..., Any], args: Mapping[str, str]) -> list[Parameter]:
    """The parameters of a class; of a function, whatever it takes beside the text."""
    known = _signature(target)
    if not isinstance(target, type):
        known = known[1:]
    meant = {p.name: p.annotation for p in _signature(target, look_up=True)}
    factories = {
        field.name: field.default_factory
        for field in (dataclasses.fields(target) if dataclasses.is_dataclass(target) else ())
        if field.default_factory is not dataclasses.MISSING
    }
    return [
        Parameter(
            parameter.name,
            _annotation(parameter, meant.get(parameter.name)),
            _default(parameter, factories.get(parameter.name)),
            args.get(parameter.name, ""),
        )
        for parameter in known
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]


def _signature(target: Callable[..., Any], *, look_up: bool = False) -> list[inspect.Parameter]:
    """The parameters, with their types as written, or as the objects that these names stand for."""
    try:
        return list(inspect.signature(target, eval_str=look_up).parameters.values())
    # Written in C, it says nothing of itself; and some types are imported for type checkers alone.
    except (TypeError, ValueError, NameError, AttributeError):
        return []


def _annotation(parameter: inspect.Parameter, meant: Any) -> str:
    """A type as written; the choices, where a name stands for a few."""
    if get_origin(meant) is Literal:
        return " | ".join(map(repr, get_args(meant)))
    if parameter.annotation is parameter.empty:
        return ""
    said = parameter.annotation
    return said if isinstance(said, str) else inspect.formatannotation(said)


def _default(parameter: inspect.Parameter, factory: Callable[[], Any] | None) -> str | None:
    if parameter.default is parameter.empty:
        return None
    return repr(factory()) if factory is not None else repr(parameter.default)
