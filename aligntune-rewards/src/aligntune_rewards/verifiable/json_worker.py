r"""The program that holds documents against JSON schemas, run in a process of its own.

A schema may hold patterns, and a match can take for ever. Requests: `{"schema": …, "text": …,
"seconds": …}`, both as JSON text. Answers: `{"valid": true, "parts": […]}`, where parts says which
of the required properties are there and valid; or `{"failed": …}` with what is wrong with the
document's syntax; or `{"error": …}` with what is wrong with the schema.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any, NoReturn

from aligntune.answering import serve

__all__ = ["DocumentError", "check", "parse", "validator"]

_DEEPEST = 100
_DEEP = 20
_MEMORY_BYTES = 4 << 30


class DocumentError(ValueError):
    """The document is no JSON, or not the kind that everybody reads alike."""


def _refuse(constant: str) -> NoReturn:
    raise DocumentError(f"holds {constant}")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise DocumentError("number too large")
    return value


def _integer(text: str) -> int:
    _number(text)
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise DocumentError("duplicate key")
    return made


def parse(text: str) -> Any:
    """JSON as RFC 8259 has it: no NaN, no infinity, no key twice, at most 100 levels.

    Raises:
        DocumentError: saying what is wrong.
    """
    try:
        found = json.loads(
            text,
            parse_constant=_refuse,
            parse_float=_number,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except DocumentError:
        raise
    except (ValueError, RecursionError) as error:
        raise DocumentError("not JSON") from error
    if _depth(found) > _DEEPEST:
        raise DocumentError("too deep")
    return found


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        depth += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


@lru_cache(maxsize=256)
def validator(schema: str) -> Any:
    """The validator for a schema, of the draft that its `$schema` names, else 2020-12.

    Raises:
        jsonschema.SchemaError: if the schema is none. ValueError: if it is no JSON.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    loaded = json.loads(schema)
    cls = validator_for(loaded, default=Draft202012Validator)
    cls.check_schema(loaded)
    # A registry of its own: by default, references are fetched from the network.
    return cls(loaded, registry=Registry())


def check(schema: str, document: Any) -> dict[str, Any]:
    """Whether a document is valid, and each of the required properties."""
    judge = validator(schema)
    errors = list(judge.iter_errors(document))
    parts: list[bool] = []
    if isinstance(judge.schema, dict) and isinstance(document, dict):
        names = judge.schema.get("required") or judge.schema.get("properties") or ()
        faulty = {error.absolute_path[0] for error in errors if error.absolute_path}
        parts = [name in document and name not in faulty for name in names]
    return {"valid": not errors, "parts": parts}


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from jsonschema.exceptions import SchemaError
    from referencing.exceptions import Unresolvable

    try:
        document = parse(request["text"])
    except DocumentError as error:
        return {"failed": str(error)}
    try:
        return check(request["schema"], document)
    except RecursionError as error:
        if _depth(document) > _DEEP:  # a schema that never ends needs no deep document
            return {"failed": "too deep"}
        return {"error": f"RecursionError: {error}"}
    except (SchemaError, ValueError, re.error, Unresolvable) as error:
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}


def _start() -> None:
    import jsonschema  # noqa: F401


if __name__ == "__main__":
    serve(_answer, start=_start, memory_bytes=_MEMORY_BYTES)
