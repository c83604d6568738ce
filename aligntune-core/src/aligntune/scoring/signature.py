"""What a callable accepts, read once, so that scoring a sample costs no look at a signature.

A text reward gets its text by position, so a data column that happens to be called `text` cannot
clash with it; of everything else on offer it gets what it declares, or all with `**kwargs`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aligntune.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Accepts", "check_params", "is_async", "is_trl_native", "name_of", "takes"]

V = TypeVar("V")
_NUMBERS = frozenset({"int", "float"})


@dataclass(frozen=True)
class Accepts:
    """The keywords that a callable takes.

    `first`: the name of the parameter that the text fills, if it could be given by keyword too.
    `names`, `required`: keywords it declares, and those of them without a default.
    `everything`: whether it takes any keyword (`**kwargs`), but for those `refused`.
    """

    first: str | None
    names: frozenset[str]
    required: frozenset[str]
    everything: bool
    # A method's `self` is no keyword that a data column of that name may fill.
    refused: frozenset[str] = frozenset({"self"})

    @classmethod
    def read(
        cls, function: Callable[..., Any], said_by: str, *, text_first: bool = True
    ) -> Accepts:
        """Read a signature; with `text_first`, its first positional parameter is left for the text.

        Raises:
            ConfigError: if it cannot be read, or has no place for a text.
        """
        parameters = _parameters(function, said_by)
        first: str | None = None
        if text_first:
            first, parameters = _without_text(parameters, said_by)
        if any(p.kind is p.POSITIONAL_ONLY and p.default is p.empty for p in parameters):
            raise ConfigError(
                f"{said_by}: only the text may be positional-only; let the other parameters be "
                "given by name"
            )
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        return cls(
            first=first,
            names=frozenset(p.name for p in named),
            required=frozenset(p.name for p in named if p.default is p.empty),
            everything=any(p.kind is p.VAR_KEYWORD for p in parameters),
        )

    def pick(self, offered: Mapping[str, V]) -> dict[str, V]:
        """Of what is on offer, what this callable takes."""
        if self.everything:
            refused = self.refused | {self.first}
            return {name: value for name, value in offered.items() if name not in refused}
        return {name: value for name, value in offered.items() if name in self.names}

    def without(self, filled: Iterable[str]) -> Accepts:
        """The same, less keywords that are filled already."""
        names = frozenset(filled)
        return replace(
            self,
            names=self.names - names,
            required=self.required - names,
            refused=self.refused | names,
        )


def _parameters(function: Callable[..., Any], said_by: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{said_by}: its signature cannot be read ({error}); wrap it in a function "
            "`def reward(text, reference=None, **kwargs)`"
        ) from error


def _without_text(
    parameters: list[inspect.Parameter], said_by: str
) -> tuple[str | None, list[inspect.Parameter]]:
    for position, parameter in enumerate(parameters):
        rest = parameters[:position] + parameters[position + 1 :]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            return parameter.name, rest
        if parameter.kind is parameter.POSITIONAL_ONLY:
            return None, rest
        if parameter.kind is parameter.VAR_POSITIONAL:
            return None, parameters
    raise ConfigError(
        f"{said_by} takes no text: write it `def reward(text, reference=None, **kwargs)`, or for a "
        "whole batch `def reward(completions, **kwargs)`"
    )


def is_trl_native(function: Callable[..., Any], said_by: str) -> bool:
    """Whether a callable is written for TRL: it declares `completions`, and scores a batch.

    Raises:
        ConfigError: if its signature cannot be read.
    """
    return any(p.name == "completions" for p in _parameters(function, said_by))


def check_params(
    function: Callable[..., Any],
    params: Mapping[str, Any],
    said_by: str,
    *,
    complete: bool = False,
) -> None:
    """Check that a callable takes these parameters by name; if `complete`, that it needs no others.

    Raises:
        ConfigError: naming the parameters that are not taken, missing, or no numbers where due.
    """
    parameters = _parameters(function, said_by)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    accepted = ", ".join(sorted(p.name for p in named))
    takes = f"it takes {accepted}" if accepted else "it takes none"
    unexpected = sorted(set(params) - {p.name for p in named})
    if unexpected and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise ConfigError(f"{said_by} has no parameter {', '.join(map(repr, unexpected))}; {takes}")
    missing = sorted(p.name for p in named if p.default is p.empty and p.name not in params)
    if complete and missing:
        raise ConfigError(f"{said_by} needs the parameter {', '.join(map(repr, missing))}; {takes}")
    for parameter in named:
        if parameter.name in params and _is_no_number(parameter, params[parameter.name]):
            raise ConfigError(
                f"{said_by}: {parameter.name} is {params[parameter.name]!r}; it must be a number"
            )


def _is_no_number(parameter: inspect.Parameter, value: object) -> bool:
    """Whether a parameter takes nothing but numbers, by its annotation, and this is none."""
    annotation = parameter.annotation
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    kinds = {kind.strip() for kind in written.split("|")}
    if not kinds & _NUMBERS or not kinds <= _NUMBERS | {"None"}:
        return False
    if value is None:
        return "None" not in kinds and parameter.default is not None
    return isinstance(value, str | bool | list | dict)


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a callable, or the constructor of a class, has a parameter of this name."""
    return name in inspect.signature(function).parameters


def is_async(function: object) -> bool:
    """Whether this is an `async def`, or an object whose `__call__` is one."""
    while isinstance(function, partial):
        function = function.func
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the method is wanted
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def name_of(function: object) -> str:
    """A name to show for a callable: that of a partial's function, or of an instance's class."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return name if name != "<lambda>" else "custom"
