"""Environment variables in configuration files: `${NAME}`, `${NAME:-default}`; `$${` is `${`.

A value that is one reference and nothing else has the type that YAML would give it (`${LR}` may be
a number); inside a longer text the variable is text. OmegaConf offers more, such as references
between keys; it was left out because it parses the file itself and forgets lines and columns,
which every message about a configuration begins with.
"""

from __future__ import annotations

import os
import re
from typing import Any

import yaml

from aligntune.config.sources import Document
from aligntune.errors import Problem
from aligntune.redact import is_secret_name

__all__ = ["escape", "from_secret", "interpolate"]

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\})?")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_ORIGIN = re.compile(r"(?:the default of )?environment variables? ([A-Za-z0-9_, ]+?) in ")
_TYPED = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null")}
_resolver: Any = yaml.SafeLoader("")


def from_secret(origin: str) -> bool:
    """Whether an origin names an environment variable that holds a secret."""
    found = _ORIGIN.match(origin)
    return found is not None and any(map(is_secret_name, found[1].split(", ")))


def escape(text: str) -> str:
    """The text as a file has it, where `${` would be a reference."""
    return text.replace("${", "$${")


def interpolate(document: Document) -> Document:
    """Put environment variables into the string values of a document, which is changed."""
    document.data = _value(document.data, "", document)
    return document


def _value(value: Any, path: str, document: Document) -> Any:
    if isinstance(value, dict):
        return {key: _value(item, _below(path, key), document) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item, _below(path, i), document) for i, item in enumerate(value)]
    if isinstance(value, str) and "${" in value:
        return _text(value, path, document)
    return value


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _text(text: str, path: str, document: Document) -> Any:
    parts: list[str] = []
    names: list[str] = []
    problems: list[str] = []
    defaults = end = 0
    for found in _REFERENCE.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
        inside = _INSIDE.fullmatch(found[1]) if found[2] else None
        if found[0] == "$${":
            parts.append("${")
        elif inside is None:
            problems.append(f"{found[0]!r} is no reference to an environment variable")
        else:
            name, default = inside.groups()
            names.append(name)
            given = os.environ.get(name)
            if given is None and default is None:
                problems.append(f"the environment variable {name} is not set")
            use_default = default is not None and not given
            defaults += use_default
            parts.append((default if use_default else given) or "")
    if problems:
        hint = "set it, or write ${NAME:-default}; $${ stands for ${"
        place = document.place(path)
        document.problems.extend(Problem(path, what, place, hint) for what in problems)
        return text
    whole = "".join([*parts, text[end:]])
    if not names:
        return whole
    _note(path, names, document, only_defaults=defaults == len(names))
    return _typed(whole) if _REFERENCE.fullmatch(text) else whole


def _note(path: str, names: list[str], document: Document, *, only_defaults: bool) -> None:
    """Take down what a value was made of, for its origin."""
    said = f"environment variable{'s' * (len(names) > 1)} {', '.join(names)}"
    document.variables[path] = f"the default of {said}" if only_defaults else said
    if any(map(is_secret_name, names)):
        document.secrets.add(path)


def _typed(text: str) -> Any:
    """The value that YAML reads in a plain scalar: a number, true or false, nothing, or text."""
    if _resolver.resolve(yaml.ScalarNode, text, (True, False)) not in _TYPED:
        return text
    try:
        return yaml.safe_load(text)
    except ValueError:  # a number of more digits than Python converts
        return text
