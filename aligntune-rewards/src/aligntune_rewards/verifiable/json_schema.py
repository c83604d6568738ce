r"""Whether a completion is a JSON document that a schema allows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aligntune.processes import WorkerCrashError, Workers, WorkerTimeoutError
from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import need

__all__ = ["JsonSchemaReward"]

_PROGRAM = Path(__file__).with_name("json_worker.py")
_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*$", re.MULTILINE)


class JsonSchemaReward(RewardFunction):
    r"""1 if the completion is one JSON document that is valid under a JSON schema, else 0.

    The document is the whole text, or else the content of its only fenced block (of no language, or
    of `json`), whatever stands around that. It must be JSON as RFC 8259 has it: a key that stands
    twice, NaN, infinity, a comment or text behind it earn 0, and so does more than 100 levels,
    or fewer where the schema refers to itself in steps of many.
    Validated with jsonschema (https://python-jsonschema.readthedocs.io), by the draft that the
    schema's `$schema` names, else 2020-12. `format` is an annotation, as the standard has it: use
    `pattern` to check one. References outside the schema are not fetched.

    Validation works in processes of their own, since the patterns of a schema can take for ever. A
    completion that takes longer than `timeout` earns 0 and is counted.

    Range: 0 to 1. Higher is better. Columns: `schema`, if the parameter is not set, as JSON text or
    a mapping (JSON text where rows differ: `datasets` gives mappings of all rows the same keys); a
    row without one is left out (None). Needs `pip install "aligntune-rewards[schema]"`.

    Args:
        schema: the schema, for all rows, as a mapping or as JSON text.
        partial: give a part of the reward to an object that is not valid: with n required
            properties (or, if none is required, n properties), each that is there and valid earns
            1 / (n + 1), and validity as a whole the rest.
        timeout: seconds that one completion may take.

    Attributes:
        failures: counts of `"not JSON"`, `"duplicate key"`, `"holds NaN"` and its like, `"number
            too large"`, `"too deep"`, `"several blocks"`, `"timeout"` and `"crash"`.

    Raises:
        ValueError: if the schema is none; when scoring, if that of the column is none.
        UnavailableError: if jsonschema is not installed.
    """

    name = "json_schema"
    range = (0.0, 1.0)
    cost = "process"
    own_processes = True
    quiet = frozenset({"not JSON", "duplicate key", "several blocks"})
    timeout: float

    def __init__(
        self,
        schema: Mapping[str, Any] | str | bool | None = None,
        partial: bool = False,
        timeout: float = 5.0,
    ) -> None:
        if not 0.0 < timeout < float("inf"):
            raise ValueError(f"timeout is {timeout}; it must be a finite number of seconds above 0")
        need("jsonschema", "schema", "reward 'json_schema'")
        self.schema = None if schema is None else _checked(_as_json(schema))
        self.requires = frozenset({"schema"} if schema is None else ())
        self.partial = partial
        self.timeout = timeout
        self._workers = Workers(_PROGRAM)

    def compute(self, text: str, schema: Any = None) -> float | None:
        if self.schema is None and schema is None:
            return None
        wanted = self.schema if self.schema is not None else _as_json(schema)
        document = _document(text)
        if document is None:
            return self.fail("several blocks")
        request = {"schema": wanted, "text": document, "seconds": self.timeout}
        try:
            answer = self._workers.call(request, self.timeout)
        except WorkerTimeoutError:
            return self.fail("timeout")
        except WorkerCrashError:
            return self.fail("crash")
        if "error" in answer:
            raise ValueError(f"the schema {wanted[:200]} cannot be used: {answer['error']}")
        if "failed" in answer:
            return self.fail(answer["failed"])
        return self._value(answer["valid"], answer["parts"])

    def _value(self, valid: bool, parts: list[bool]) -> float:
        if valid or not self.partial or not parts:
            return float(valid)
        return sum(parts) / (len(parts) + 1)

    def close(self) -> None:
        """End the processes that validate; the next call starts others."""
        self._workers.close()


def _document(text: str) -> str | None:
    """The text that must be JSON; None if several blocks could be meant."""
    marks = list(_FENCE.finditer(text))
    if not marks or text.lstrip()[:1] in ("{", "[", '"'):
        return text
    blocks = [
        text[start.end() : end.start()]
        for start, end in zip(marks[::2], marks[1::2], strict=False)
        if start[1].lower() in ("", "json")
    ]
    return blocks[0] if len(blocks) == 1 else (None if blocks else text)


def _as_json(schema: object) -> str:
    if isinstance(schema, str):
        return schema
    if isinstance(schema, bool | Mapping):
        return json.dumps(schema)
    raise TypeError(f"schema is {schema!r}; it is a mapping, or JSON text")


def _checked(schema: str) -> str:
    from jsonschema.exceptions import SchemaError

    from aligntune_rewards.verifiable.json_worker import validator

    try:
        validator(schema)
    except SchemaError as error:
        raise ValueError(f"schema is no JSON schema: {error.message}") from error
    except ValueError as error:
        raise ValueError(f"schema is no JSON: {error}") from error
    return schema
