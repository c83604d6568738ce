"""Every field of a configuration, as data: names, type, range, defaults, meaning.

The JSON schema, `aligntune explain` and the parameter reference are all written from this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from aligntune.config.assemble import field_paths
from aligntune.config.documentation import meaning
from aligntune.config.run_config import RunConfig, UnifiedConfig
from aligntune.config.section import Section, extra_of

__all__ = ["REQUIRED", "Field", "all_fields", "find", "meaning_of", "names", "section_called"]


# Names at the top level that stand for a section, or for the same fields as one.
_STANDS_FOR = {
    "dataset": "datasets",
    "eval_datasets": "datasets",
    "reward_functions": "rewards",
    "reward_function_weights": "rewards",
}


class _Required:
    """Stands for the default of a field that has none."""

    def __str__(self) -> str:
        return "required"


REQUIRED = _Required()


@dataclass(frozen=True)
class Field:
    """One field. Its path has no list index: `datasets.name` stands for every data set."""

    path: str
    owner: type[Section]
    type: str
    range: str
    sft: Any
    rl: Any
    meaning: str
    flat: tuple[str, ...]
    """Names that set it at the top level, in flags and as keyword arguments."""
    others: tuple[str, ...]
    """Its other names within its section, and the names that other sections have for it."""

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def section(self) -> str:
        return self.path.rpartition(".")[0]


@cache
def all_fields() -> tuple[Field, ...]:
    """Every field that is no section, in the order of the configuration."""
    return tuple(_below(RunConfig, ""))


def _below(cls: type[Section], prefix: str) -> Iterator[Field]:
    for name, spec in cls.model_fields.items():
        path = f"{prefix}{name}"
        inner = _section_of(spec.annotation)
        if path == "eval_datasets":
            continue  # the same as `datasets`
        if inner is not None:
            yield from _below(inner, f"{path}.")
            continue
        default = spec.get_default(call_default_factory=True)
        default = REQUIRED if default is PydanticUndefined else default
        rl = extra_of(spec).get("rl", default)
        if path == "algo":
            rl = REQUIRED
        yield Field(
            path,
            cls,
            _type_of(spec),
            _range(spec.metadata),
            default,
            rl,
            meaning(UnifiedConfig if cls is RunConfig else cls, name),
            _flat(path),
            tuple(a for a, field in cls.aliases().items() if field == name) + _elsewhere(path),
        )


def _section_of(annotation: Any) -> type[Section] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


@cache
def _by_path() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, path in field_paths().items():
        found.setdefault(path.replace("datasets.0.", "datasets."), []).append(name)
    return {path: tuple(flat) for path, flat in found.items()}


def _flat(path: str) -> tuple[str, ...]:
    own = (path, *RunConfig.aliases()) if path == "algo" else (path,) if "." not in path else ()
    root = {*RunConfig.model_fields, *RunConfig.aliases()}
    flat = (name for name in _by_path().get(path, ()) if name not in root)
    return own or tuple(name for name in flat if not name.startswith("eval_dataset"))


@cache
def _elsewhere_names() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for prefix, spec in RunConfig.model_fields.items():
        section = _section_of(spec.annotation)
        if section is None or prefix == "eval_datasets":
            continue
        for name, path in section.elsewhere.items():
            found.setdefault(path, []).append(f"{prefix}.{name}")
    return {path: tuple(paths) for path, paths in found.items()}


def _elsewhere(path: str) -> tuple[str, ...]:
    return _elsewhere_names().get(path, ())


_SIMPLE = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretStr: "secret text",
    Any: "anything",
    NoneType: "null",
}


def _type_of(spec: FieldInfo) -> str:
    """The type of a field in words; where it says so itself, as its JSON schema has it."""
    for part in spec.metadata:
        if isinstance(part, WithJsonSchema) and part.json_schema is not None:
            return _or(part.json_schema["enum"]) if "enum" in part.json_schema else "text"
    return type_name(spec.annotation)


def type_name(annotation: Any) -> str:
    """A type in words: `whole number or null`, `list of text`, `bf16, fp16 or fp32`."""
    parts = get_args(annotation)
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _or([str(member.value) for member in annotation])
    said: dict[Any, Callable[[], str]] = {
        Literal: lambda: _or([str(part) for part in parts]),
        list: lambda: f"list of {_grouped(type_name(parts[0]))}",
        tuple: lambda: f"[{', '.join(map(type_name, parts))}]",
        dict: lambda: "keys with values",
        Callable: lambda: "function",
    }
    if get_origin(annotation) in said:
        return said[get_origin(annotation)]()
    return " or ".join(dict.fromkeys(map(type_name, parts)))


def _grouped(words: str) -> str:
    return f"({words})" if " or " in words else words


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def _range(metadata: list[Any]) -> str:
    said = [
        f"{words} {getattr(part, bound):g}"
        for bound, words in _BOUNDS
        for part in metadata
        if getattr(part, bound, None) is not None
    ]
    said += [f"a multiple of {part.multiple_of}" for part in metadata if _has(part, "multiple_of")]
    said += [
        "not empty" if part.min_length == 1 else f"at least {part.min_length}"
        for part in metadata
        if _has(part, "min_length")
    ]
    return ", ".join(said)


def _has(part: Any, bound: str) -> bool:
    return getattr(part, bound, None) is not None


def names(field: Field) -> list[str]:
    """Every name that sets a field: full path, flat names, other names with their section."""
    prefix = f"{field.section}." if field.section else ""
    others = [name if "." in name else f"{prefix}{name}" for name in field.others]
    return list(dict.fromkeys([field.path, *field.flat, *others]))


def meaning_of(path: str) -> str:
    """What a field means, also one that is a section or a list of them."""
    cls: type[Section] = UnifiedConfig
    *parents, name = (part for part in path.split(".") if not part.isdigit())
    for parent in parents:
        inner = _section_of(cls.model_fields[parent].annotation)
        assert inner is not None, path
        cls = inner
    return meaning(cls, name)


def section_called(name: str) -> str:
    """The path of the section that a name means, or an empty string."""
    sections = {field.section for field in all_fields()}
    path = _STANDS_FOR.get(name) or field_paths().get(name, name)
    return path if path in sections else ""


def find(name: str) -> list[Field]:
    """The fields that a name means: a full path (with or without index), or any other name."""
    plain = ".".join(part for part in name.split(".") if not part.isdigit())
    plain = plain.replace("-", "_").replace("eval_datasets.", "datasets.")
    if name in _STANDS_FOR:
        return []
    for said in (lambda f: names(f)[:1], names, lambda f: [f.name, *f.others]):
        found = [field for field in all_fields() if plain in said(field)]
        if found:
            return found
    return []
