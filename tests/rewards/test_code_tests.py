"""How the tests of a program are read, and when values are the same."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from aligntune_rewards.verifiable.code_tests import CallTest, StreamTest, read_tests
from aligntune_rewards.verifiable.code_values import Rule, agree, same_output


def calls(tests: Any) -> list[tuple[str, tuple[Any, ...], Any]]:
    found = read_tests(tests)
    assert not found.statements
    return [(call.function, call.args, call.expected) for call in found.calls]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("assert f(2) == 3", ("f", (2,), 3)),
        ("assert f(2) == 3, 'wrong'", ("f", (2,), 3)),
        ("assert 3 == f(2)", ("f", (2,), 3)),
        ("assert f([1, 'a'], {2: (3,)}) == {4, 5}", ("f", ([1, "a"], {2: (3,)}), {4, 5})),
        ("assert f(-1) is None", ("f", (-1,), None)),
        ("assert Solution().f(2) == 3", ("Solution().f", (2,), 3)),
        ("from solution import f\nassert f(2) == 3", ("f", (2,), 3)),
        ("import math\nx = 3\nassert f(2) == 3", ("f", (2,), 3)),
        ("assert sum(10, 15) == 6", ("sum", (10, 15), 6)),
        ("assert bisect(2) == 3", ("bisect", (2,), 3)),
    ],
)
def test_asserts_that_can_be_split(text: str, call: tuple[Any, ...]) -> None:
    assert calls(text) == [call]
    assert calls([text]) == [call]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("assert f(2) > 3", ["f"]),
        ("assert f(2)", ["f"]),
        ("assert not f(2)", ["f"]),
        ("assert f(2) is True", ["f"]),
        ("assert f(2) == g(3)", ["f", "g"]),
        ("assert f(x=[1] * 3) == 3", ["f"]),
        ("assert f(2)[0] == 3", ["f"]),
        ("assert f(*[2]) == 3", ["f"]),
        ("assert f(**{'x': 2}) == 3", ["f"]),
        ("assert sorted(f(2)) == [3]", ["f"]),
        ("assert math.isclose(f(2), 3.0)", ["f"]),
        ("assert Stack(3).pop() == 3", ["Stack"]),
        ("for i in range(3):\n    assert f(i) == i", ["f"]),
        ("with open('x') as file:\n    assert f(file) == 1", ["f"]),
        ("def close(a, b):\n    return abs(a - b) < 1\nassert close(f(2), 3)", ["f"]),
        ("def wrap(x):\n    return f(x)\nassert wrap(2) == 3", ["f"]),
        ("from math import isclose\nassert isclose(f(2), 3.0)", ["f"]),
        # Builtins and the standard library are never the program's.
        ("assert sum([f(1)]) == 1", ["f"]),
        ("assert len('abc') == f(1)", ["f"]),
        ("assert json.loads('1') == f(1)", ["f"]),
    ],
)
def test_other_asserts_run_apart(text: str, names: list[str]) -> None:
    found = read_tests(text)
    assert (len(found.calls), len(found.statements), found.names) == (0, 1, names)


def test_where_the_program_remembers_the_tests_stay_together() -> None:
    found = read_tests("stack = Stack()\nstack.push(1)\nassert stack.pop() == 1\nassert f(2) == 3")
    assert found.calls == []
    assert found.statements == [
        "stack = Stack()\nstack.push(1)\nassert stack.pop() == 1",
        "assert f(2) == 3",
    ]
    assert found.names == ["Stack", "f"]


def test_forms() -> None:
    call = {"function": "f", "args": [1], "kwargs": {"x": 2}, "expected": None}
    stream = {"input": "1\n", "output": "2\n", "function": None, "expected": None}
    for given in (
        [call, stream, "assert f(1) == 2"],
        json.dumps([call, stream, "assert f(1) == 2"]),
    ):
        found = read_tests(given)
        assert found.calls == [
            CallTest("f", (1,), {"x": 2}, None),
            CallTest("f", (1,), {}, 2, python=True),
        ]
        assert found.streams == [StreamTest("1\n", "2\n")]
        assert len(found) == 3
    assert read_tests({"function": "f", "args": "[1]", "expected": 2}).calls[0].args == (1,)
    assert read_tests({"inputs": ["1\n", ["2", "3"]], "outputs": ["1", ["2", "3"]]}).streams == [
        StreamTest("1\n", "1"),
        StreamTest("2\n3", "2\n3"),
    ]
    (pair,) = read_tests({"inputs": [[1, 2]], "outputs": [3], "fn_name": "add"}).calls
    assert (pair.args, pair.expected, pair.boxed) == ((1, 2), 3, False)


CHECK = """
METADATA = {'author': 'x'}

def check(candidate):
    assert True, "of no account"
    assert candidate(1) == 2
    for i in range(3):
        assert candidate(i) == i + 1
"""


@pytest.mark.parametrize("call", ["", "\ncheck(f)"])
def test_what_check_holds_is_several_tests(call: str) -> None:
    found = read_tests(CHECK + call, "f")
    assert [(c.function, c.args, c.expected) for c in found.calls] == [("f", (1,), 2)]
    assert len(found.statements) == 1
    assert "f(i) == i + 1" in found.statements[0]
    assert found.names == ["f"]


def test_a_function_of_the_tests_that_is_called_is_one_test() -> None:
    text = "def test_it():\n    assert f(1) == 2\n\n"
    found = read_tests(f"assert f(3) == 4\n{text}test_it()")
    assert (len(found.calls), len(found.statements)) == (0, 2)
    with pytest.raises(ValueError, match=r"define test_it and do not call it; add test_it\(\) to"):
        read_tests(f"assert f(3) == 4\n{text}")


def test_a_check_that_is_called_is_one_test() -> None:
    found = read_tests(CHECK + "\ncheck(f)")
    assert (len(found.calls), len(found.statements), found.names) == (0, 1, ["f"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (3, "tests is 3; it must be a list of tests"),
        ([3], r"tests\[0\] is 3; it must be one of"),
        ([{"args": [1]}], r"tests\[0\] has 'args'; it must be one of"),
        ([{"function": "f", "args": 3, "expected": 1}], "args must be a list"),
        (
            [{"function": "f", "args": "x", "expected": 1}],
            "args or kwargs is a text and no JSON",
        ),
        ("assert f(", "is no Python"),
        ("x = 1", "has no assert, and no call of a check"),
        ("assert True", "has no assert"),
        ("check_all()", "has no assert, and no call of a check"),
        ("assert isclose(f(2), 3.0)", "tests use 'isclose' and do not import it"),
        ("assert np.allclose(f(2), 3.0)", "tests use 'np' and do not import it"),
        (
            "assert f(lambda x: x, 2) == 2",
            r"hand a function to the program \(f\(lambda x: x, 2\)\)",
        ),
        ("import numpy as np\nassert np.sum(f(2)) == 3", "tests import 'numpy'; in the sandbox"),
        ("from numpy import sum\nassert sum(f(2)) == 3", "tests import 'numpy'; in the sandbox"),
        ({"inputs": [1], "outputs": []}, "tests has 1 inputs and 0 outputs"),
        ({"inputs": 1, "outputs": []}, "inputs and outputs must be lists"),
    ],
)
def test_tests_that_are_none(given: object, says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        read_tests(given)


JSON = Rule(exact=False, python=False, tolerance=0.0)
PYTHON = Rule(exact=False, python=True, tolerance=0.0)
EXACT = Rule(exact=True, python=False, tolerance=0.0)


@pytest.mark.parametrize(
    ("actual", "expected", "json_", "python", "exact"),
    [
        (1, 1, True, True, True),
        (1, 1.0, True, True, False),
        (True, 1, False, True, False),
        (1, True, False, True, False),
        (True, True, True, True, True),
        ((1, 2), [1, 2], True, False, False),
        ([(1,)], [[1]], True, False, False),
        ([1, 2], [1, 2, 3], False, False, False),
        ({"a": (1,)}, {"a": [1]}, True, False, False),
        ({"a": 1}, {"b": 1}, False, False, False),
        ({1, 2}, {2, 1}, True, True, True),
        ({1, 2}, [1, 2], False, False, False),
        ("1", 1, False, False, False),
        (b"a", "a", False, False, False),
        (None, None, True, True, True),
        (None, 0, False, False, False),
        (math.nan, math.nan, True, True, True),
        (10**400, 1.5, False, False, False),
        (0.1 + 0.2, 0.3, False, False, False),
    ],
)
def test_when_values_agree(
    actual: Any, expected: Any, json_: bool, python: bool, exact: bool
) -> None:
    assert agree(actual, expected, JSON) is json_
    assert agree(actual, expected, PYTHON) is python
    assert agree(actual, expected, EXACT) is exact


def test_the_tolerance() -> None:
    near = Rule(exact=False, python=False, tolerance=1e-6)
    assert agree([0.1 + 0.2, {"x": 1e9}], [0.3, {"x": 1e9 + 1}], near)
    assert not agree(0.301, 0.3, near)
    assert not agree(1_000_001, 1_000_000, Rule(exact=False, python=False, tolerance=1e-3))
    assert not agree(10**400, 1.5, near)
    assert not agree(math.inf, 1.5, near)


def test_what_a_program_writes() -> None:
    assert same_output("1 2 \n3\n\n", "1 2\n3", 0.0)
    assert same_output("1\r\n2", "1\n2\n", 0.0)
    assert not same_output("1 2", "1\n2", 0.0)
    assert not same_output("0.30000000001", "0.3", 0.0)
    assert same_output("x 0.30000000001", "x 0.3", 1e-6)
    assert not same_output("x 0.3 4", "x 0.3", 1e-6)
    assert not same_output("y 0.3", "x 0.3", 1e-6)
