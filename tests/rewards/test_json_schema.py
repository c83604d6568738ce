"""json_schema: what counts as the document, what is valid, and who is to blame for what is not."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, as_reward
from aligntune_rewards import JsonSchemaReward

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ADA = '{"name": "Ada", "age": 36}'


@pytest.fixture(scope="module")
def person() -> Any:
    made = JsonSchemaReward(PERSON, timeout=20.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (ADA, 1.0),
        (f"\n {ADA}\n", 1.0),
        (f"```json\n{ADA}\n```", 1.0),
        (f"```JSON\n{ADA}\n```", 1.0),
        (f"```\n{ADA}\n```", 1.0),
        (f"Here it is:\n```json\n{ADA}\n```\nAnything else?", 1.0),
        (f"```python\nx = 1\n```\n```json\n{ADA}\n```", 1.0),
        (f"  ```json\n{ADA}\n  ```", 1.0),
        ('{"name": "a ```\\n b", "age": 1}', 1.0),
        (f"Here it is: {ADA}", 0.0),
        (f"{ADA} I hope this helps!", 0.0),
        (f"{ADA}{ADA}", 0.0),
        (f"```json\n{ADA}\n", 0.0),
        (f"```json\n{ADA}\n```\n```json\n{ADA}\n```", 0.0),
        (f"```python\n{ADA}\n```", 0.0),
        ('{"name": "Ada", "age": "36"}', 0.0),
        ('{"name": "Ada", "age": 36.5}', 0.0),
        ('{"name": "Ada", "age": 36.0}', 1.0),
        ('{"name": "", "age": 36}', 0.0),
        ('{"name": "Ada"}', 0.0),
        ('{"name": "Ada", "age": 36, "x": 1}', 0.0),
        ('{"name": "Ada", "age": 5, "age": 36}', 0.0),
        ('{"name": "Ada", "age": NaN}', 0.0),
        ('{"name": "Ada", "age": 36,}', 0.0),
        ("{'name': 'Ada', 'age': 36}", 0.0),
        ('{"name": "Ada", "age": 36 /* years */}', 0.0),
        ("\u200b" + ADA, 0.0),
        ("\ufeff" + ADA, 0.0),
        ("[]", 0.0),
        ("", 0.0),
        ("null", 0.0),
    ],
)
def test_values(person: JsonSchemaReward, text: str, value: float) -> None:
    assert person.compute(text) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Ada", "not JSON"),
        ('{"a": 1, "a": 1}', "duplicate key"),
        ('{"a": {"b": [{"c": 1, "c": 2}]}}', "duplicate key"),
        ("NaN", "holds NaN"),
        ("-Infinity", "holds -Infinity"),
        ("1e999", "number too large"),
        ("9" * 400, "number too large"),
        ("9" * 5000, "number too large"),
        ("[" * 101 + "]" * 101, "too deep"),
        ("[" * 500_000 + "]" * 500_000, "not JSON"),
        ("```\n1\n```\n\n```\n2\n```", "several blocks"),
    ],
)
def test_failures_are_counted(text: str, kind: str) -> None:
    reward = JsonSchemaReward(True, timeout=20.0)
    assert reward.compute(text) == 0.0
    assert reward.failures == {kind: 1}
    assert reward.compute("[" * 100 + "]" * 100) == 1.0
    reward.close()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (ADA, 1.0),
        ('{"name": "Ada"}', 1 / 3),
        ('{"name": "Ada", "age": "x"}', 1 / 3),
        ('{"name": "Ada", "age": 36, "x": 1}', 2 / 3),
        ('{"name": 1, "age": "x"}', 0.0),
        ("{}", 0.0),
        ("[]", 0.0),
        ("Ada", 0.0),
    ],
)
def test_partial(text: str, value: float) -> None:
    reward = JsonSchemaReward(PERSON, partial=True, timeout=20.0)
    assert reward.compute(text) == pytest.approx(value)
    reward.close()


def test_the_draft_is_the_one_that_the_schema_names(person: JsonSchemaReward) -> None:
    # Items as a list are a tuple in draft 7 and a mistake in 2020-12.
    seven = "http://json-schema.org/draft-07/schema#"
    tuples = {"$schema": seven, "items": [{"type": "string"}, {"type": "integer"}]}
    other = JsonSchemaReward(timeout=20.0)
    other._workers = person._workers
    assert other.compute('["a", 1]', schema=tuples) == 1.0
    assert other.compute('["a", "b"]', schema=tuples) == 0.0
    latest = {"prefixItems": [{"type": "string"}], "unevaluatedItems": False}
    assert other.compute('["a"]', schema=json.dumps(latest)) == 1.0
    assert other.compute('["a", 1]', schema=json.dumps(latest)) == 0.0
    with pytest.raises(ValueError, match="cannot be used: SchemaError"):
        other.compute("[]", schema={"items": [{"type": "string"}]})


def test_schemas_of_rows(person: JsonSchemaReward) -> None:
    reward = JsonSchemaReward(timeout=20.0)
    reward._workers = person._workers
    assert reward.needs == {"schema"}
    schemas = [{"type": "integer"}, '{"type": "integer"}', '{"type": "string"}', None]
    batch = RewardBatch(["1"] * 4, columns={"schema": schemas})
    assert reward.compute_batch(batch) == [1.0, 1.0, 0.0, None]
    for schema in ('{"type": 5}', "{", '{"pattern": "("}', '{"$ref": "http://localhost/x"}'):
        with pytest.raises(ValueError, match="cannot be used"):
            reward.compute('"x"', schema=schema)
    with pytest.raises(ValueError, match="cannot be used: RecursionError"):
        reward.compute("1", schema={"$ref": "#"})


def test_references_are_not_fetched() -> None:
    asked = []

    class Schemas(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "integer"}')

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Schemas) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/schema.json"
        reward = JsonSchemaReward({"$ref": address}, timeout=20.0)
        with pytest.raises(ValueError, match="cannot be used"):
            reward.compute("1")
        reward.close()
        server.shutdown()
    assert asked == []
    within = {"$defs": {"whole": {"type": "integer"}}, "$ref": "#/$defs/whole"}
    reward = JsonSchemaReward(within, timeout=20.0)
    assert [reward.compute("1"), reward.compute('"1"')] == [1.0, 0.0]
    reward.close()


def test_a_pattern_that_never_ends_is_stopped() -> None:
    reward = JsonSchemaReward({"pattern": "(a+)+$"}, timeout=3.0)
    assert reward.compute('"a"') == 1.0
    started = time.monotonic()
    assert reward.compute(json.dumps("a" * 60 + "!")) == 0.0
    assert time.monotonic() - started < 20.0
    assert reward.failures == {"timeout": 1}
    assert reward.compute('"a"') == 1.0
    reward.close()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"schema": {"type": "text"}}, "schema is no JSON schema: 'text' is not valid"),
        ({"schema": "{"}, "schema is no JSON:"),
        ({"schema": 5}, "it is a mapping, or JSON text"),
        ({"schema": True, "timeout": -1}, "timeout is -1"),
    ],
)
def test_parameters_that_are_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        as_reward(JsonSchemaReward, "json_schema", params)


def test_a_deep_document_is_the_fault_of_the_completion() -> None:
    schema: dict[str, Any] = {"type": "array", "items": {"$ref": "#"}}
    for _ in range(8):
        schema = {"allOf": [schema]}
    reward = JsonSchemaReward({"anyOf": [{"type": "number"}, schema]}, timeout=20.0)
    assert reward.compute("[" * 10 + "1" + "]" * 10) == 1.0
    assert reward.compute("[" * 98 + "1" + "]" * 98) == 0.0
    assert reward.failures == {"too deep": 1}
    reward.close()
    endless = JsonSchemaReward({"$ref": "#"}, timeout=20.0)
    with pytest.raises(ValueError, match="cannot be used: RecursionError"):
        endless.compute("1")
    endless.close()
