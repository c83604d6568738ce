"""Whether a query returns the rows that it should, found out by running it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from aligntune.processes import WorkerCrashError, Workers, WorkerTimeoutError
from aligntune.scoring import RewardFunction
from aligntune_rewards.code.blocks import LONGEST, SQL, Which, check_which, code_of
from aligntune_rewards.code.checked import positive, whole
from aligntune_rewards.verifiable.sql_rows import Rows, ordered, rows_of, same_rows, unpacked

__all__ = ["SqlExecutionReward"]

_PROGRAM = Path(__file__).with_name("sql_worker.py")
_GRACE = 1.0  # seconds after which a process is killed that does not end a query itself
_KEPT = 256

Order = Literal["auto", "always", "never"]


class SqlExecutionReward(RewardFunction):
    """1 if the query of the completion returns the right rows, else 0; run with SQLite.

    The query runs on a database in memory that is made for it alone, from what the row of the data
    brings. Right are the rows of `expected`, or those that the reference, a query, returns on the
    same database. Rows are compared as multisets: how often each occurs counts, their order only
    where the reference has an ORDER BY (`order`). The order of columns counts, their names do not.
    1 and 1.0 are the same, 1 and '1' are not. If there are several databases, the query must be
    right on each. A query that reads no table although the reference does earns 0: it guesses.

    The query is the last fenced block that is marked as SQL or not marked; a completion without a
    fence is a query itself. It can only read: an authorizer refuses ATTACH, PRAGMA, functions that
    load code, and any change. It runs in a process with limited memory that ends queries which take
    too long, and is killed if it does not. The rows that are right never enter that process.

    Range: 0 or 1. Higher is better. Columns: `schema`, the SQL script that makes the database, or a
    list of such scripts; `rows`, if it does not fill its tables: a mapping of tables to rows;
    `expected`, the right rows, or the reference. A row of the data with neither is left out (None).
    About 1.5 ms a completion.

    Args:
        order: `auto`, `always` or `never`: whether the order of rows counts.
        tolerance: the difference between numbers, absolute or relative, that does not count.
        block: which of several blocks counts: `last`, `first`, or `all`, one below the other.
        max_rows: more rows than these are wrong without a look at them.
        timeout: seconds that one query may take.

    Attributes:
        failures: counts of `"no query"`, `"error"` (SQLite does not take it), `"not allowed"`,
            `"timeout"`, `"memory"`, `"too many rows"`, `"guess"` and `"crash"`.

    Raises:
        ValueError: when scoring, if a database cannot be made, or the reference does not run.
    """

    name = "sql_execution"
    requires = frozenset({"schema"})
    range = (0.0, 1.0)
    cost = "process"
    own_processes = True
    quiet = frozenset({"no query", "error", "not allowed", "too many rows", "guess"})
    timeout: float

    def __init__(
        self,
        order: Order = "auto",
        tolerance: float = 1e-9,
        block: Which = "last",
        max_rows: int = 10_000,
        timeout: float = 5.0,
    ) -> None:
        if order not in get_args(Order):
            raise ValueError(f"order is {order!r}; it is one of {', '.join(get_args(Order))}")
        self.order = order
        self.tolerance = 0.0 if tolerance == 0 else positive(tolerance, "tolerance")
        self.block = check_which(block)
        self.max_rows = whole(max_rows, "max_rows", 1, 1_000_000)
        self.timeout = positive(timeout, "timeout")
        self.workers = Workers(_PROGRAM)
        self._right: dict[str, tuple[Rows, bool]] = {}

    def compute(
        self,
        text: str,
        reference: Any = None,
        schema: Any = None,
        rows: Any = None,
        expected: Any = None,
    ) -> float | None:
        if reference is None and expected is None:
            return None
        scripts = _scripts(schema)
        wanted = [self._wanted(script, rows, reference, expected) for script in scripts]
        query = code_of(text, self.block, SQL)
        if query is None or len(query) > LONGEST:
            return self.fail("no query")
        for script, (right, reads) in zip(scripts, wanted, strict=True):
            answer = self._run(script, rows, query)
            if "failed" in answer:
                return self.fail(answer["failed"])
            if reads and not answer["reads"]:
                return self.fail("guess")
            in_order = self.order == "always" or (
                self.order == "auto" and reference is not None and ordered(_query(reference))
            )
            found = unpacked(answer["rows"])
            if not same_rows(found, right, in_order=in_order, tolerance=self.tolerance):
                return 0.0
        return 1.0

    def close(self) -> None:
        """End the processes that run queries; the next call starts others."""
        self.workers.close()

    def _wanted(self, script: str, rows: Any, reference: Any, expected: Any) -> tuple[Rows, bool]:
        """The right rows, and whether the reference reads a table to find them."""
        if expected is not None:
            given = _given(expected, "expected")
            return rows_of(given), False
        key = json.dumps([script, rows, str(reference)], default=str)
        found = self._right.get(key)
        if found is None:
            query = _query(reference)
            answer = self._run(script, rows, query)
            if "failed" in answer:
                raise ValueError(
                    f"the reference query {query[:80]!r} does not run: {answer['failed']}"
                    f" ({answer['why']})"
                )
            found = unpacked(answer["rows"]), bool(answer["reads"])
            if len(self._right) >= _KEPT:
                self._right.clear()
            self._right[key] = found
        return found

    def _run(self, script: str, rows: Any, query: str) -> dict[str, Any]:
        request = {
            "schema": script,
            "rows": _tables(rows),
            "query": query,
            "seconds": self.timeout,
            "most_rows": self.max_rows,
        }
        try:
            answer: dict[str, Any] = self.workers.call(request, self.timeout + _GRACE)
        except WorkerTimeoutError:
            return {"failed": "timeout", "why": f"over {self.timeout:g} seconds"}
        except WorkerCrashError as error:
            return {"failed": "crash", "why": str(error)}
        if "wrong" in answer:
            raise ValueError(f"the database cannot be made: {answer['wrong']}")
        return answer


def _query(reference: Any) -> str:
    return code_of(str(reference), "last", SQL) or ""


def _scripts(schema: Any) -> list[str]:
    scripts = [schema] if isinstance(schema, str) else schema
    if not isinstance(scripts, list | tuple) or not all(isinstance(s, str) for s in scripts):
        raise ValueError(
            f"schema is {schema!r:.80}; it must be a script of SQL that makes the tables, or a "
            "list of such scripts"
        )
    if not scripts:
        raise ValueError("schema is an empty list; it must hold a script of SQL")
    return list(scripts)


def _given(value: Any, column: str) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"{column} is {value!r:.80}, a text that is no JSON ({error})") from None


def _tables(rows: Any) -> dict[str, Any] | None:
    given = _given(rows, "rows")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise TypeError(f"rows is a {type(given).__name__}; it must map tables to lists of rows")
    # A data set fills in None for the tables that another row has.
    return {table: values for table, values in given.items() if values is not None}
