"""The program that runs a query of a model's on a database made for it, in a process of its own.

Requests: `{"schema": …, "rows": {table: rows} or null, "query": …, "seconds": …, "most_rows": …}`.
Answers: `{"rows": […], "reads": …}` (`reads`: whether a table was read), `{"failed": kind, "why":
…}`, or `{"wrong": …}` if the database cannot be made. It never holds the rows that are expected.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from aligntune.answering import serve

__all__ = ["answer"]

_MEMORY_BYTES = 1 << 30
_LONGEST_VALUE = 10_000_000  # bytes
_LONGEST_RESULT = 20_000_000  # bytes, roughly
_OPERATIONS = 10_000  # of SQLite's machine, between two looks at the clock

# What a query may do: read. All else, such as ATTACH, PRAGMA and any change, is refused.
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer"})
# What a script that makes a database may not do.
_OUTSIDE = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})
_ERRORS = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError)


class _Reader:
    """What a query is allowed, and what it did."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.late = False
        self.refused = ""
        self.reads = False

    def allows(self, action: int, first: str | None, second: str | None, *_: object) -> int:
        # The tables of SQLite's own are in every database, and hold no data.
        if action == sqlite3.SQLITE_READ and not str(first).lower().startswith("sqlite_"):
            self.reads = True
        if action in _READING:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and str(second).lower() not in _FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_OK
        self.refused = f"action {action} {first or ''} {second or ''}".strip()
        return sqlite3.SQLITE_DENY

    def look(self) -> int:
        self.late = time.monotonic() > self.deadline
        return int(self.late)


def answer(
    schema: str, rows: dict[str, Any] | None, query: str, seconds: float, most_rows: int
) -> dict[str, Any]:
    """Make the database, run the query, and say what came of it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        if wrong := _make(connection, schema, rows or {}):
            return {"wrong": wrong}
        return _queried(connection, query, _Reader(seconds), most_rows)
    finally:
        connection.close()


def _make(connection: sqlite3.Connection, schema: str, rows: dict[str, Any]) -> str:
    """Make the database; returns what is wrong with it, or nothing."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.set_authorizer(_makes)
    try:
        connection.executescript(schema)
        for table, values in rows.items():
            _insert(connection, table, values)
    except _ERRORS as error:
        return str(error) or type(error).__name__
    return ""


def _queried(
    connection: sqlite3.Connection, query: str, reader: _Reader, most_rows: int
) -> dict[str, Any]:
    """The answer to a query, whatever it is."""
    connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    connection.set_authorizer(reader.allows)
    connection.set_progress_handler(reader.look, _OPERATIONS)
    try:
        return _read(connection, query, reader, most_rows)
    except MemoryError:
        return {"failed": "memory", "why": "it needs too much memory"}
    except _ERRORS as error:
        kind = "not allowed" if reader.refused else "timeout" if reader.late else "error"
        return {"failed": kind, "why": reader.refused or str(error)}


def _read(
    connection: sqlite3.Connection, query: str, reader: _Reader, most_rows: int
) -> dict[str, Any]:
    cursor = connection.execute(query)
    if cursor.description is None:
        return {"failed": "not allowed", "why": "it returns no rows"}
    found: list[list[Any]] = []
    size = 0
    for row in cursor:
        found.append([_packed(value) for value in row])
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        if len(found) > most_rows or size > _LONGEST_RESULT:
            return {"failed": "too many rows", "why": f"over {most_rows} rows or 20 MB"}
    return {"rows": found, "reads": reader.reads}


def _makes(action: int, _: str | None, second: str | None, *__: object) -> int:
    forbidden = action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FORBIDDEN_FUNCTIONS
    return sqlite3.SQLITE_DENY if action in _OUTSIDE or forbidden else sqlite3.SQLITE_OK


def _insert(connection: sqlite3.Connection, table: str, rows: Any) -> None:
    """Fill a table with rows that are lists, or mappings of columns to values."""
    if not isinstance(rows, list) or not all(isinstance(row, list | dict) for row in rows):
        raise ValueError(f"the rows of {table!r} are no list of lists or mappings: {rows!r:.80}")
    for row in rows:
        named = isinstance(row, dict)
        columns = f" ({', '.join(map(_quoted, row))})" if named else ""
        values = list(row.values()) if named else list(row)
        marks = ", ".join("?" * len(values))
        connection.execute(
            f"INSERT INTO {_quoted(table)}{columns} VALUES ({marks})",  # noqa: S608 - quoted
            values,
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _packed(value: Any) -> Any:
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


if __name__ == "__main__":
    serve(lambda request: answer(**request), memory_bytes=_MEMORY_BYTES)
