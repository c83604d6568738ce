"""sql_execution: which rows are right, and queries that try to do more than read."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from aligntune.scoring import RewardBatch
from aligntune_rewards import SqlExecutionReward
from aligntune_rewards.verifiable.sql_rows import ordered, same_rows

SCHEMA = """
CREATE TABLE city (name TEXT, country TEXT, people INTEGER, area REAL);
INSERT INTO city VALUES ('Paris', 'France', 2100000, 105.4), ('Lyon', 'France', 520000, 47.9),
  ('Bonn', 'Germany', 330000, 141.1), ('Köln', 'Germany', 1080000, 405.2),
  ('Oslo', 'Norway', 709000, NULL);
"""
FRENCH = "SELECT name FROM city WHERE country = 'France'"
COUNTS = "SELECT country, count(*) FROM city GROUP BY country"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
SORTED = "SELECT name FROM city ORDER BY people DESC"


@pytest.fixture(scope="module")
def reward() -> Iterator[SqlExecutionReward]:
    made = SqlExecutionReward(timeout=2.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("query", "reference", "value"),
    [
        (FRENCH, FRENCH, 1.0),
        (f"```sql\n{FRENCH};\n```", FRENCH, 1.0),
        (f"Like this:\n```\n{FRENCH}\n```\nDone.", f"```sql\n{FRENCH}\n```", 1.0),
        ("select NAME from city where country like 'fr%' order by name", FRENCH, 1.0),
        ("SELECT name AS town FROM city WHERE country = 'France'", FRENCH, 1.0),
        ("SELECT name FROM city WHERE country = 'Germany'", FRENCH, 0.0),
        ("SELECT name, country FROM city WHERE country = 'France'", FRENCH, 0.0),
        ("SELECT name FROM city WHERE name = 'Paris'", FRENCH, 0.0),
        (f"{FRENCH} UNION ALL {FRENCH}", FRENCH, 0.0),
        ("SELECT country, sum(1) FROM city GROUP BY 1 ORDER BY 2", COUNTS, 1.0),
        ("SELECT count(*), country FROM city GROUP BY country", COUNTS, 0.0),
        ("SELECT country, count(*) * 1.0 FROM city GROUP BY country", COUNTS, 1.0),
        ("SELECT country, CAST(count(*) AS TEXT) FROM city GROUP BY country", COUNTS, 0.0),
        ("SELECT name FROM city ORDER BY people DESC", SORTED, 1.0),
        ("SELECT name FROM city ORDER BY people", SORTED, 0.0),
        ("SELECT sum(area) FROM city", "SELECT total(area) FROM city", 1.0),
        ("SELECT area FROM city WHERE name = 'Oslo'", "SELECT NULL FROM city LIMIT 1", 1.0),
        ("WITH f AS (SELECT * FROM city) SELECT name FROM f WHERE country = 'France'", FRENCH, 1.0),
        ("", FRENCH, 0.0),
        ("I cannot do that.", FRENCH, 0.0),
        ("SELECT name FROM nowhere", FRENCH, 0.0),
        ("SELECT \ud800", FRENCH, 0.0),
        ("SELECT name FROM city\0", FRENCH, 0.0),
        (FRENCH, None, None),
    ],
)
def test_values(
    reward: SqlExecutionReward, query: str, reference: str | None, value: float | None
) -> None:
    assert reward.compute(query, reference, SCHEMA) == value


def test_rows_that_are_expected(reward: SqlExecutionReward) -> None:
    for expected in (
        [["Lyon"], ["Paris"]],
        [{"name": "Paris"}, {"name": "Lyon"}],
        ["Paris", "Lyon"],
    ):
        assert reward.compute(FRENCH, None, SCHEMA, expected=expected) == 1.0
    assert reward.compute(FRENCH, None, SCHEMA, expected='[["Lyon"], ["Paris"]]') == 1.0
    assert reward.compute(FRENCH, None, SCHEMA, expected=[["Lyon"]]) == 0.0
    assert reward.compute("SELECT 1 WHERE 0", None, SCHEMA, expected=[]) == 1.0


def test_rows_that_fill_the_tables(reward: SqlExecutionReward) -> None:
    schema = "CREATE TABLE t (a INTEGER, b TEXT); CREATE TABLE u (c);"
    rows = {"t": [[1, "x"], {"b": "y", "a": 2}], "u": None}
    query = "SELECT a, b FROM t"
    assert reward.compute(query, None, schema, rows, [[2, "y"], [1, "x"]]) == 1.0
    assert reward.compute(query, None, schema, '{"t": [[3, "z"]]}', [[3, "z"]]) == 1.0


def test_the_query_must_be_right_on_every_database(reward: SqlExecutionReward) -> None:
    other = SCHEMA.replace("'France'", "'Gaul'")
    guess = "SELECT name FROM city WHERE name IN ('Paris', 'Lyon')"
    assert reward.compute(guess, FRENCH, SCHEMA) == 1.0
    assert reward.compute(guess, FRENCH, [SCHEMA, other]) == 0.0
    assert reward.compute(FRENCH, FRENCH, [SCHEMA, other]) == 1.0


def test_the_order_counts_if_asked_for() -> None:
    backwards = "SELECT name FROM city ORDER BY people"
    for order, value in (("always", 0.0), ("never", 1.0), ("auto", 0.0)):
        made = SqlExecutionReward(order=order)  # type: ignore[arg-type]
        assert made.compute(backwards, SORTED, SCHEMA) == value
        assert made.compute(backwards, f"```sql\n{SORTED}\n```", SCHEMA) == value
        made.close()


@pytest.mark.parametrize(
    ("query", "sorts"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("SELECT a FROM t order\n  by a LIMIT 3", True),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a)", False),
        ("SELECT rank() OVER (ORDER BY a) FROM t", False),
        ("SELECT 'order by' FROM t -- order by a", False),
        ("SELECT a FROM t /* order by */ WHERE b = ')' ORDER BY 1", True),
    ],
)
def test_which_queries_sort(query: str, sorts: bool) -> None:
    assert ordered(query) is sorts


def test_rows_agree_but_for_the_last_digits() -> None:
    def same(ours: list[Any], wanted: list[Any], tolerance: float = 1e-9) -> bool:
        return same_rows(ours, wanted, in_order=False, tolerance=tolerance)

    assert same([(0.1 + 0.2, "b"), (1, "a")], [(1.0, "a"), (0.3, "b")])
    assert not same([(0.1 + 0.2,)], [(0.3,)], 0.0)
    assert same([(1.0000001,), (1.0000002,)], [(1.0000002,), (1.0000001,)])
    assert same([(1.001, "b"), (1.002, "a")], [(1.002, "b"), (1.001, "a")], 0.01)
    assert not same([(1.001, "b"), (1.002, "b")], [(1.002, "b"), (1.001, "a")], 0.01)
    assert same([(1234567,), (1234568.0,)], [(1234568,), (1234567.0,)])
    assert not same([(1,), (1,)], [(1,), (2,)])
    assert not same([(None,)], [(0,)])
    assert not same([("1",)], [(1,)])
    assert same([(b"1", None)], [(b"1", None)])


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("SELECT 'Paris' AS name UNION SELECT 'Lyon'", "guess"),
        ("VALUES ('Paris'), ('Lyon')", "guess"),
        ("SELECT 'Paris' FROM sqlite_master UNION SELECT 'Lyon'", "guess"),
        ("DELETE FROM city", "not allowed"),
        ("UPDATE city SET country = 'France'", "not allowed"),
        ("INSERT INTO city SELECT * FROM city RETURNING name", "not allowed"),
        ("DROP TABLE city", "not allowed"),
        ("CREATE TABLE x AS SELECT 1", "not allowed"),
        ("CREATE TEMP VIEW x AS SELECT 1", "not allowed"),
        ("ATTACH DATABASE '/tmp/aligntune-evil.db' AS evil", "not allowed"),
        ("VACUUM INTO '/tmp/aligntune-evil.db'", "not allowed"),
        ("PRAGMA writable_schema = 1", "not allowed"),
        ("PRAGMA database_list", "not allowed"),
        ("SELECT name FROM pragma_database_list", "not allowed"),
        ("SELECT load_extension('evil.so')", "not allowed"),
        ("SELECT fts3_tokenizer('simple')", "not allowed"),
        ("BEGIN", "not allowed"),
        ("SAVEPOINT a", "not allowed"),
        (f"{FRENCH}; DELETE FROM city", "error"),
        ("SELECT readfile('/etc/passwd')", "error"),
        ("SELECT edit('x', 'sh')", "error"),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            "too many rows",
        ),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) FROM n",
            "timeout",
        ),
        ("SELECT count(*) FROM " + ", ".join(f"city c{n}" for n in range(16)), "timeout"),
        ("SELECT zeroblob(2000000000)", "error"),
        (
            "SELECT a.name || b.name FROM " + ", ".join(f"city {c}" for c in "abcdefgh"),
            "too many rows",
        ),
        ("SELECT " + "(" * 2000 + "1" + ")" * 2000, "error"),
        ("SELECT " + "1 + " * 20_000 + "1", "error"),
        ("x" * 200_000, "no query"),
    ],
)
def test_a_query_can_only_read(reward: SqlExecutionReward, query: str, kind: str) -> None:
    before = reward.failures[kind]
    assert reward.compute(query, FRENCH, SCHEMA) == 0.0
    assert reward.failures[kind] == before + 1, reward.failures
    assert not Path("/tmp/aligntune-evil.db").exists()
    assert reward.compute(FRENCH, FRENCH, SCHEMA) == 1.0


def test_much_memory_and_a_long_operation_end(reward: SqlExecutionReward) -> None:
    memory = "SELECT group_concat(hex(randomblob(4000000)), '') FROM city"
    memory += " UNION ALL SELECT hex(zeroblob(4900000)) FROM city a, city b, city c, city d"
    one_step = "SELECT replace(hex(zeroblob(4000000)), '0', '00') LIKE '%" + "0%" * 400 + "1'"
    for query in (memory, one_step):
        begun = time.monotonic()
        assert reward.compute(query, FRENCH, SCHEMA) == 0.0
        assert time.monotonic() - begun < 20
    assert reward.compute(FRENCH, FRENCH, SCHEMA) == 1.0


def test_a_process_that_does_not_answer_is_killed() -> None:
    reward = SqlExecutionReward(timeout=0.2)
    reward.compute(FRENCH, FRENCH, SCHEMA)
    (pid,) = reward.workers.pids
    psutil.Process(pid).suspend()
    assert reward.compute(FRENCH, FRENCH, SCHEMA) == 0.0
    assert reward.failures == {"timeout": 1}
    assert not psutil.pid_exists(pid)
    assert reward.compute(FRENCH, FRENCH, SCHEMA) == 1.0
    reward.close()


def test_queries_do_not_meet(reward: SqlExecutionReward) -> None:
    texts = [f"SELECT name FROM city WHERE country = '{c}'" for c in ("France", "Norway")] * 8
    values: dict[int, float | None] = {}

    def score(index: int) -> None:
        values[index] = reward.compute(texts[index], FRENCH, SCHEMA)

    threads = [threading.Thread(target=score, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = [reward.compute(text, FRENCH, SCHEMA) for text in texts]
    assert [values[index] for index in range(len(texts))] == alone == [1.0, 0.0] * 8


def test_a_batch_with_its_columns(reward: SqlExecutionReward) -> None:
    batch = RewardBatch(
        [FRENCH, "SELECT 1"], references=[FRENCH] * 2, columns={"schema": [SCHEMA] * 2}
    )
    assert list(reward.compute_batch(batch)) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"schema": "CREATE TABLE city ("}, "the database cannot be made: incomplete input"),
        ({"schema": "ATTACH 'x' AS y"}, "the database cannot be made: not authorized"),
        ({"schema": None}, "schema is None; it must be a script of SQL"),
        ({"schema": []}, "schema is an empty list"),
        ({"schema": SCHEMA, "rows": [1]}, "rows is a list; it must map tables"),
        ({"schema": SCHEMA, "rows": {"nowhere": [[1]]}}, "no such table: nowhere"),
        ({"schema": SCHEMA, "rows": {"city": 5}, "expected": []}, "the rows of 'city' are no list"),
        ({"schema": SCHEMA, "rows": {"city": [5]}, "expected": []}, "are no list of lists or map"),
        ({"schema": SCHEMA, "expected": "x"}, "expected is 'x', a text that is no JSON"),
        ({"schema": SCHEMA, "rows": "x"}, "rows is 'x', a text that is no JSON"),
        ({"schema": SCHEMA, "expected": 3}, "expected is a int; it must be a list of rows"),
        ({"schema": SCHEMA, "expected": [[{}]]}, "which is no value of SQL"),
        ({"schema": SCHEMA, "reference": "SELECT x FROM city"}, "does not run: error .no such col"),
        ({"schema": SCHEMA, "reference": "DROP TABLE city"}, "does not run: not allowed"),
    ],
)
def test_data_that_are_wrong_are_our_fault(
    reward: SqlExecutionReward, columns: dict[str, Any], says: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        reward.compute(FRENCH, **({"reference": FRENCH} | columns))


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"order": "yes"}, "order is 'yes'; it is one of auto, always, never"),
        ({"tolerance": -1}, "tolerance is -1"),
        ({"max_rows": 0}, "max_rows is 0"),
        ({"timeout": "5"}, "timeout is '5'"),
        ({"block": ""}, "block is ''"),
    ],
)
def test_parameters_that_are_wrong(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SqlExecutionReward(**params)


def test_max_rows_and_pickling() -> None:
    made = pickle.loads(pickle.dumps(SqlExecutionReward(max_rows=2)))
    assert made.compute("SELECT name FROM city", FRENCH, SCHEMA) == 0.0
    assert made.failures == {"too many rows": 1}
    made.close()
