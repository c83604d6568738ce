"""The JSON Schema of configuration files, from which editors complete and check them.

It accepts what `load_config` accepts of a file, in all its forms: sections and flat names, other
names, numbers and truth values as text, references to environment variables, files that leave out
what their base or the command line says. Names that plugins bring are examples, not a closed list.
Two things only the loader knows: what must hold between fields, and dotted keys such as
`train.seed: 1`, which a file may have and an editor does not offer.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Annotated, Any, get_args

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined

from aligntune.config.assemble import field_paths
from aligntune.config.documentation import meaning, summary
from aligntune.config.loader import Kind
from aligntune.config.run_config import RunConfig, UnifiedConfig
from aligntune.config.section import Section, extra_of
from aligntune.config.sections import DatasetConfig, RewardConfig

__all__ = ["json_schema"]

Schema = dict[str, Any]

_NUMBER = {
    "type": "string",
    "pattern": r"^\s*[+-]?([0-9_]+\.?[0-9_]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$",
}
_TRUTH = {"enum": ["true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "0", "1", 0, 1]}
_ENVIRONMENT = {"type": "string", "pattern": r"\$\{", "description": "an environment variable"}
_TEXT: Schema = {"type": "string", "minLength": 1}
_NULL: Schema = {"type": "null"}
# Fields that take their words in any case, beside those that are enumerations.
_ANY_CASE = {"log_level"}


class _Generator(GenerateJsonSchema):
    """Leaves out what a file cannot hold: functions and data sets."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


def json_schema(kind: Kind | None = None, algorithms: Iterable[str] = ()) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a configuration file.

    Args:
        kind: whose defaults it names: those of `"sft"` or of `"rl"` runs; None, of both.
        algorithms: names to offer as examples.
    """
    definitions: dict[str, Schema] = {"environment": _ENVIRONMENT}
    properties = _root(kind, definitions)
    properties["algo"] |= {"examples": sorted(algorithms)}
    properties["algorithm"] = {**properties["algo"]}
    for name, path in field_paths().items():
        properties.setdefault(name, _at(path))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": {"sft": "SFT configuration", "rl": "RL configuration"}.get(
            kind or "", "AlignTune configuration"
        ),
        "type": "object",
        "properties": dict(sorted(properties.items())),
        "additionalProperties": False,
        "$defs": definitions,
    }


def _root(kind: Kind | None, definitions: dict[str, Schema]) -> Schema:
    """Properties at the top level: sections, in their short forms too, and single fields."""
    properties = _properties(UnifiedConfig, kind, definitions)
    data, rewards = _item(DatasetConfig, kind, definitions), _item(RewardConfig, kind, definitions)
    for name in ("datasets", "eval_datasets"):
        properties[name] |= _any(_TEXT, {"type": "array", "items": data}, _NULL)
    properties["rewards"] |= _any({"type": "string"}, {"type": "array", "items": rewards}, _NULL)
    properties["model"]["anyOf"].append(_TEXT)
    properties["dataset"] = _any(*data["anyOf"], {"type": "array", "items": data})
    properties["reward_functions"] = _any({"type": "array", "items": rewards})
    properties["reward_function_weights"] = _any(
        {"type": "array", "items": {"anyOf": [{"type": "number"}, _NUMBER]}}
    )
    properties["type"] = properties["training_type"] = {
        "type": "string",
        "description": "sft, rl, or the name of an algorithm.",
        "examples": ["sft", "rl"],
    }
    properties["base"] = {
        "anyOf": [_TEXT, {"type": "array", "items": _TEXT}, _NULL],
        "description": "Files that this one builds on, relative to it; this one wins.",
    }
    return properties


def _item(cls: type[Section], kind: Kind | None, definitions: dict[str, Schema]) -> Schema:
    return {"anyOf": [_TEXT, _section(cls, kind, definitions)]}


def _section(cls: type[Section], kind: Kind | None, definitions: dict[str, Schema]) -> Schema:
    """A reference to the definition of a section, which is made where it is not there yet."""
    if cls.__name__ not in definitions:
        definition: Schema = {"type": "object", "description": summary(cls)}
        definitions[cls.__name__] = definition
        properties = _properties(cls, kind, definitions)
        for name, path in cls.elsewhere.items():
            properties.setdefault(name, _at(path))
        definition |= {"properties": properties, "additionalProperties": False}
        needed = [{"anyOf": [{"required": [n]} for n in names]} for names in _needed(cls)]
        if needed:
            definition["allOf"] = needed
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _needed(cls: type[Section]) -> list[list[str]]:
    """The names, any of them, of each field that must be there; model and data have flat ones."""
    if cls.__name__ in ("ModelConfig", "DatasetConfig"):
        return []
    fields = [name for name, spec in cls.model_fields.items() if spec.is_required()]
    return [[f, *(a for a, field in cls.aliases().items() if field == f)] for f in fields]


def _properties(cls: type[Section], kind: Kind | None, definitions: dict[str, Schema]) -> Schema:
    found = {name: _field(cls, name, kind, definitions) for name in cls.model_fields}
    for alias, name in cls.aliases().items():
        found[alias] = found[name] if cls is UnifiedConfig else _reference(cls, name)
    return found


def _field(
    cls: type[Section], name: str, kind: Kind | None, definitions: dict[str, Schema]
) -> Schema:
    inner = _inner(cls.model_fields[name])
    if inner is None:
        return _leaf(cls, name, kind)
    schema = _section(inner, kind, definitions)
    if name == "evaluators":
        schema = {"type": "array", "items": {"anyOf": [_TEXT, schema]}}
    return {**_any(schema, _NULL), "description": meaning(cls, name)}


def _inner(spec: FieldInfo) -> type[Section] | None:
    for part in (spec.annotation, *get_args(spec.annotation)):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None


def _at(path: str) -> Schema:
    """The schema of the field at a full path."""
    cls: type[Section] = RunConfig
    *parents, name = (part for part in path.split(".") if not part.isdigit())
    for parent in parents:
        inner = _inner(cls.model_fields[parent])
        assert inner is not None
        cls = inner
    return _reference(cls, name)


def _reference(cls: type[Section], name: str) -> Schema:
    return {"$ref": f"#/$defs/{cls.__name__}/properties/{name}"}


def _leaf(cls: type[Section], name: str, kind: Kind | None) -> Schema:
    """The schema of a field that is no section."""
    spec = cls.model_fields[name]
    annotation: Any = spec.annotation
    for constraint in spec.metadata:
        annotation = Annotated[annotation, constraint]
    schema = TypeAdapter(annotation).json_schema(schema_generator=_Generator)
    any_case = name in _ANY_CASE or _is_enumeration(spec.annotation)
    relaxed = _relaxed(schema, schema.pop("$defs", {}), any_case=any_case)
    if name == "loggers":
        relaxed = _any(relaxed, {"type": "string"}, _NULL)
    if relaxed and relaxed != {"type": "string"}:
        relaxed = _any(relaxed)
    return relaxed | _said(cls, name, spec, kind)


def _is_enumeration(annotation: Any) -> bool:
    parts = (annotation, *get_args(annotation))
    return any(isinstance(part, type) and issubclass(part, Enum) for part in parts)


def _said(cls: type[Section], name: str, spec: FieldInfo, kind: Kind | None) -> Schema:
    """Description and default."""
    text = meaning(cls, name)
    default = spec.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return {"description": text}
    rl = extra_of(spec).get("rl", default)
    if kind is None and rl != default:
        return {"description": f"{text} Default: {_plain(default)} (SFT), {_plain(rl)} (RL)."}
    return {"description": text, "default": _plain(rl if kind == "rl" else default)}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _any(*schemas: Schema) -> Schema:
    """Any of these, or an environment variable in their place."""
    reference = {"$ref": "#/$defs/environment"}
    arms = [arm for schema in schemas for arm in _arms(schema) if arm != reference]
    return {"anyOf": [*arms, reference]}


def _arms(schema: Schema) -> list[Schema]:
    arms: list[Schema] = schema["anyOf"] if list(schema) == ["anyOf"] else [schema]
    return arms


def _relaxed(schema: Schema, definitions: dict[str, Schema], *, any_case: bool) -> Schema:
    """The schema, with what the loader also understands: numbers and truth values as text."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    schema = {key: value for key, value in schema.items() if key not in ("title", "description")}
    if "anyOf" in schema:
        arms = [_relaxed(arm, definitions, any_case=any_case) for arm in schema["anyOf"]]
        return {"anyOf": [inner for arm in arms for inner in _arms(arm)]}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _any(_relaxed(schema[key], definitions, any_case=any_case))
    if "prefixItems" in schema:
        items = schema["prefixItems"]
        schema["prefixItems"] = [_relaxed(item, definitions, any_case=False) for item in items]
    if schema.get("type") in ("integer", "number"):
        return {"anyOf": [schema, _NUMBER]}
    if schema.get("type") == "boolean":
        return {"anyOf": [schema, _TRUTH]}
    if "enum" in schema and any_case:
        return {"anyOf": [{"enum": schema["enum"]}, _in_any_case(schema["enum"])]}
    return schema


def _in_any_case(words: list[str]) -> Schema:
    letters = ["".join(_letter(c) for c in word) for word in words]
    return {"type": "string", "pattern": rf"^\s*({'|'.join(letters)})\s*$"}


def _letter(character: str) -> str:
    if character.isalpha():
        return f"[{character.lower()}{character.upper()}]"
    return "[-_]" if character == "_" else character
