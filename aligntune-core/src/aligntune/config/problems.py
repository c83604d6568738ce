"""What pydantic found wrong, said so that the user can mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, get_args

from pydantic import ValidationError

from aligntune.config.foreign import foreign_name
from aligntune.config.section import Section
from aligntune.errors import Problem, did_you_mean
from aligntune.redact import is_secret_name, redact

__all__ = ["apart", "in_order", "place", "problems_of", "shown"]

# The place in an origin, which may be "environment variable NAME in FILE:LINE:COLUMN".
_LINE = re.compile(r"^(?:[a-z ]*environment variables? [A-Za-z0-9_, ]+ in )?(.+):(\d+):(\d+)$")
# More names than this are no hint.
_FEW = 12


def problems_of(error: ValidationError, cls: type[Section]) -> list[Problem]:
    """Return one problem per thing wrong, with its path and what would be right."""
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], cls)
        problem = _explained(detail, path, cls)
        known = found.get(path)
        if known is not None and known.message != problem.message:  # the arms of a union
            problem = replace(known, message=f"{known.message}; or {problem.message}")
        found[path] = problem
    return list(found.values())


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Problems in the order of the lines of their files; those without a line come last."""

    def place_of(problem: Problem) -> tuple[Any, ...]:
        found = _LINE.search(problem.where)
        return (1,) if found is None else (0, found[1], int(found[2]), int(found[3]))

    return sorted(dict.fromkeys(problems), key=place_of)


def apart(problems: Iterable[Problem], known: Sequence[Problem]) -> list[Problem]:
    """The problems that are not about a value, or what is around it, that `known` is about."""

    def same(one: Problem, other: Problem) -> bool:
        if one.where and one.where == other.where:
            return True
        inner, outer = sorted((f"{one.path}.", f"{other.path}."), key=len, reverse=True)
        return inner.startswith(outer)

    return [p for p in problems if not any(same(p, other) for other in known)]


def _path(loc: tuple[int | str, ...], cls: type[Section]) -> str:
    """The path of a value, without pydantic's names for the arms of a union."""
    parts: list[str] = []
    section: type[Section] | None = cls
    for index, part in enumerate(loc):
        if section is None and parts and not isinstance(part, int):
            break
        parts.append(str(part))
        if isinstance(part, str) and section is not None:
            field = section.model_fields.get(part)
            section = _nested(field.annotation) if field is not None else None
        elif isinstance(part, int) and index:
            continue
    return ".".join(parts)


def _nested(annotation: Any) -> type[Section] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _section_at(path: str, cls: type[Section]) -> type[Section]:
    section = cls
    for part in path.split(".")[:-1]:
        if not part.isdigit() and (field := section.model_fields.get(part)) is not None:
            section = _nested(field.annotation) or section
    return section


def place(path: str, origins: dict[str, str]) -> str:
    """Where the value at `path`, or what is around it, was written; empty if unknown."""
    while path:
        inside = [path]
        if path.rpartition(".")[2].isdecimal():  # an item of a list stands where its keys do
            inside += [known for known in origins if known.startswith(f"{path}.")]
        for known in inside:
            if known in origins:
                return "" if origins[known] == "Python" else origins[known]
        path = path.rpartition(".")[0]
    return ""


def _explained(detail: Any, path: str, cls: type[Section]) -> Problem:
    name = path.rpartition(".")[2]
    if detail["type"] == "extra_forbidden":
        return Problem(path, "unknown key", hint=_hint_for_unknown(name, path, cls))
    if detail["type"] == "missing":
        return Problem(path, "it is required and was not set", hint=_hint_for_missing(path))
    if detail["type"] == "too_short" and path == "datasets":
        hint = _hint_for_missing("datasets")
        return Problem(path, "at least one data set is required", hint=hint)
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] in ("model_type", "dict_type"):
        message = "expected keys with values"
    given = "a value that is not shown" if is_secret_name(path) else shown(detail["input"])
    return Problem(path, message, given=given)


def shown(value: object) -> str:
    """A value as a message has it: short, and without secrets that stand in it."""
    text = repr(redact(value.value if isinstance(value, Enum) else value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _hint_for_unknown(name: str, path: str, cls: type[Section]) -> str:
    from aligntune.config.assemble import field_paths
    from aligntune.config.run_config import RunConfig

    section = _section_at(path, cls)
    own = {*section.model_fields, *section.aliases(), *section.elsewhere}
    flat = field_paths() if issubclass(cls, RunConfig) else {}  # which alone has flat names
    if name not in own and name not in flat and (hint := foreign_name(name)):
        return hint
    if "." not in path:
        names = ", ".join(sorted(own))
        return did_you_mean(name, own | set(flat)) or ("" if flat else f"known here: {names}")
    if name in flat:
        return f"{name!r} belongs to another section: `{flat[name]}`"
    begins = sorted(known for known in own if known.startswith(f"{name}_"))
    close = f"did you mean {begins[0]!r}?" if begins else did_you_mean(name, own)
    if close or len(own) <= _FEW:
        return close or f"known here: {', '.join(sorted(own))}"
    above = ".".join(part for part in path.split(".")[:-1] if not part.isdecimal())
    return f"`aligntune explain {above}` lists what is known here"


def _hint_for_missing(path: str) -> str:
    return {
        "model": "set `model.name_or_path` (or `model_name`, or --model)",
        "model.name_or_path": "set `model.name_or_path` (or `model_name`, or --model)",
        "datasets": "set `datasets: [{name: ...}]` (or `dataset_name`, or --dataset)",
        "algo": "set `algorithm`, such as `algorithm: grpo`",
    }.get(path, "")
