"""Flags of the command line: any parameter of a configuration, by its flat name or full path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aligntune.errors import ConfigError

__all__ = ["read_flags"]


def read_flags(arguments: Sequence[str], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given parameters, by name.

    Args:
        arguments: what the command did not know itself: `--name value`, `--name=value`, `--name`
            for true, `--no-name` for false.
        named: flags that the command knows; None means not given.

    Raises:
        ConfigError: for something that is no flag, or a flag given twice.
    """
    given = {name: value for name, value in named.items() if value is not None}
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--") or flag == "--":
            raise ConfigError(f"{flag!r} is no flag: one configuration file, then --name value")
        name, has_value, text = flag[2:].partition("=")
        value: Any
        if has_value:
            value = _value(name, text)
        elif rest and not rest[0].startswith("--"):
            value = _value(name, rest.pop(0))
        elif name.startswith("no-"):
            name, value = name[3:], False
        else:
            value = True
        key = name.replace("-", "_")
        if key in given:
            raise ConfigError(f"the flag --{name} is given twice")
        given[key] = value
    return given


def _value(name: str, text: str) -> Any:
    """Lists, objects, true, false and null as JSON has them; numbers where any type may stand."""
    free = ".params." in name or name.endswith("kwargs") or "kwargs." in name
    if text.startswith(("[", "{")) or text in ("true", "false", "null") or free:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            if (
                text.startswith(("[", "{"))
                and not text.startswith("{%")
                and not text.startswith("{{")
            ):
                raise ConfigError(f"--{name}: {text!r} is not JSON: {error.msg}") from None
    return text
