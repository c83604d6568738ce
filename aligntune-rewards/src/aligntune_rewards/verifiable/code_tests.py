"""The tests of a program, as data sets hold them, sorted by how they can be run.

Best is a call, whose value is compared outside, as is what a program writes. Other statements run
in a process that the program cannot reach.
"""

from __future__ import annotations

import ast
import builtins
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["CallTest", "StreamTest", "Tests", "read_tests"]

_FORMS = (
    '{"function": ..., "args": [...], "expected": ...}, {"input": ..., "output": ...}, or the text '
    "of Python statements with assert"
)
_BUILTINS = frozenset(dir(builtins))
# Names that tests sometimes use and leave to the program to import: it could bring its own.
_JUDGES = frozenset(
    {"allclose", "approx", "array_equal", "assert_allclose", "assert_equal", "isclose"}
)
_JUDGES |= {"assert_almost_equal", "assert_array_equal", "np", "numpy", "pandas", "pd", "pytest"}
_JUDGES |= {"scipy", "sklearn", "sympy", "torch"}
# What tests call the file of the program.
_PROGRAM_MODULES = frozenset({"solution", "main", "__main__", "candidate", "program"})


@dataclass(frozen=True)
class CallTest:
    """A function of the program, what it is called with, and what it should return.

    `python`: the test was written as Python, so a tuple can be told from a list.
    `boxed`: what is expected may be the only item of `expected`, as it often is in APPS.
    """

    function: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    expected: Any
    python: bool = False
    boxed: bool = False


@dataclass(frozen=True)
class StreamTest:
    """What the program reads, and what it should write."""

    given: str
    expected: str


@dataclass
class Tests:
    """Tests by their kind; `names` is what the statements take from the program."""

    calls: list[CallTest] = field(default_factory=list)
    streams: list[StreamTest] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.calls) + len(self.streams) + len(self.statements)


def read_tests(given: Any, entry_point: str | None = None) -> Tests:
    """The tests in a column of the data.

    `given`: a list of tests, each of one of the forms; or such a list as JSON; or a text of Python
    statements; or `{"inputs": [...], "outputs": [...]}`, with `fn_name` for calls.
    `entry_point`: the function that is tested, where the statements define `check(candidate)`.

    Raises:
        ValueError, TypeError: if a test has no such form; says which.
    """
    if isinstance(given, str):
        given = _parsed(given)
    paired = isinstance(given, Mapping) and "inputs" in given
    if paired:
        given = list(_pairs(given))
    elif isinstance(given, Mapping | str):
        given = [given]
    if not isinstance(given, list | tuple):
        raise TypeError(f"tests is {given!r:.80}; it must be a list of tests: {_FORMS}")
    found = Tests()
    texts: list[str] = []
    for index, test in enumerate(given):
        if isinstance(test, str):
            texts.append(test)
        elif isinstance(test, Mapping):
            _add(found, test, f"tests[{index}]")
        else:
            raise TypeError(f"tests[{index}] is {test!r:.80}; it must be one of {_FORMS}")
    if paired:
        found.calls = [
            replace(call, boxed=isinstance(call.expected, list) and len(call.expected) == 1)
            for call in found.calls
        ]
    if texts:
        _Reader(found, entry_point).read("\n".join(texts))
    return found


def _parsed(text: str) -> Any:
    """What a text holds as JSON, or else the text."""
    if text.lstrip()[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _add(found: Tests, test: Mapping[str, Any], place: str) -> None:
    # A data set fills in None for the keys that another row has.
    known = {key: value for key, value in test.items() if value is not None}
    if "function" in known and "expected" in test:
        try:
            args, kwargs = _json(known.get("args", ())), _json(known.get("kwargs", {}))
        except ValueError as error:
            raise ValueError(f"{place}: args or kwargs is a text and no JSON ({error})") from None
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
            raise ValueError(f"{place}: args must be a list, and kwargs a mapping")
        call = CallTest(str(known["function"]), tuple(args), dict(kwargs), test["expected"])
        found.calls.append(call)
    elif "output" in known and isinstance(known.get("input", ""), str):
        found.streams.append(StreamTest(known.get("input", ""), str(known["output"])))
    else:
        raise ValueError(f"{place} has {', '.join(map(repr, test))}; it must be one of {_FORMS}")


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _pairs(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The tests of `{"inputs": [...], "outputs": [...]}`, as APPS and its kin have them."""
    inputs, outputs = given["inputs"], given.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise TypeError("tests: inputs and outputs must be lists")
    if len(inputs) != len(outputs):
        raise ValueError(f"tests has {len(inputs)} inputs and {len(outputs)} outputs")
    name = given.get("fn_name")
    for value, output in zip(inputs, outputs, strict=True):
        if name:
            function = f"({name} if {str(name)!r} in globals() else Solution().{name})"
            yield {"function": function, "args": value, "expected": output}
        else:
            text = "\n".join(value) if isinstance(value, list) else value
            yield {
                "input": text,
                "output": "\n".join(output) if isinstance(output, list) else output,
            }


class _Reader:
    """Reads Python statements: asserts that can be split, and whatever else there is."""

    def __init__(self, found: Tests, entry_point: str | None) -> None:
        self.found, self.entry_point = found, entry_point
        self.waiting: list[str] = []  # what comes before the next test
        self.own: set[str] = set()  # names that the tests define
        self.checks: set[str] = set()  # functions of theirs that assert something

    def read(self, text: str) -> None:
        """Add the tests of a text.

        Raises:
            ValueError: if it is no Python, or tests nothing.
        """
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"tests: {text[:80]!r} is no Python ({error}); {_FORMS}") from None
        before = len(self.found)
        body = [s for s in self._inlined(tree.body) if not _is_empty(s)]
        self.own = _defined(body)
        self.checks = _checks(body)
        # Where other statements use the program, it may remember what they did: then all of them
        # and the asserts must meet the same one, in order.
        apart = not any(_free(s) - self.own for s in body if not self._tests(s))
        for statement in body:
            self._add(statement, apart=apart)
        if len(self.found) == before:
            raise ValueError(f"tests: {text[:80]!r} has no assert, and no call of a check")
        taken = {name for text in self.found.statements for name in _free(ast.parse(text))}
        _refuse_judges(body, taken - self.own)
        if self.entry_point is not None:
            taken.add(self.entry_point.partition(".")[0].partition("(")[0])
        self.found.names = sorted(taken - self.own)

    def _add(self, statement: ast.stmt, *, apart: bool) -> None:
        if apart and isinstance(statement, ast.Assert):
            call = self._split(statement.test)
            if call is not None:
                self.found.calls.append(call)
                return
        self.waiting.append(ast.unparse(statement))
        if self._tests(statement):
            self.found.statements.append("\n".join(self.waiting))
            self.waiting = []

    def _inlined(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The same, with what `check(candidate)` holds in its place, if that is all it takes."""
        if self.entry_point is None:
            return body
        checks = [s for s in body if isinstance(s, ast.FunctionDef) and s.name == "check"]
        if len(checks) != 1 or len(checks[0].args.args) != 1:
            return body
        check, name = checks[0], checks[0].args.args[0].arg
        called = f"check({self.entry_point})"
        rest = [s for s in body if s is not check and ast.unparse(s) != called]
        if any(isinstance(node, ast.Return) for node in ast.walk(check)):
            return [*body, *([] if len(rest) < len(body) - 1 else ast.parse(called).body)]
        inside = [_Renamed(name, self.entry_point).visit(statement) for statement in check.body]
        return [*rest, *inside]

    def _tests(self, statement: ast.stmt) -> bool:
        """Whether a statement is a test: it asserts something, or calls what does."""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return False
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            function = ast.unparse(statement.value.func)
            ours = _root(statement.value.func) in self.own  # the program's own check judges nothing
            return (ours and "check" in function) or function in self.checks
        return _asserts(statement)

    def _split(self, test: ast.expr) -> CallTest | None:
        """`f(1, 2) == 3` and the like as a call and its value, if all of it is written out."""
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return None
        left, right = test.left, test.comparators[0]
        if isinstance(test.ops[0], ast.Eq):
            sides = [(left, right), (right, left)]
        elif isinstance(test.ops[0], ast.Is) and isinstance(right, ast.Constant):
            sides = [(left, right)] if right.value is None else []
        else:
            return None
        for call, value in sides:
            if isinstance(call, ast.Call) and not self._of_the_tests(call.func):
                try:
                    return CallTest(
                        ast.unparse(call.func),
                        tuple(ast.literal_eval(argument) for argument in call.args),
                        {_named(k): ast.literal_eval(k.value) for k in call.keywords},
                        ast.literal_eval(value),
                        python=True,
                    )
                except (ValueError, TypeError):  # not all of it is written out
                    continue
        return None

    def _of_the_tests(self, function: ast.expr) -> bool:
        """Whether a function is not the program's alone: then the program must not run it."""
        if isinstance(function, ast.Name):
            # Nobody tests `sum(10, 15)` but to test a `sum` of the program's.
            return function.id in self.own
        inside = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        if not inside or any(node.args or node.keywords for node in calls):
            return True
        return any(
            node.id in self.own or node.id in _BUILTINS or node.id in sys.stdlib_module_names
            for node in inside
        )


class _Renamed(ast.NodeTransformer):
    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, ast.parse(new, mode="eval").body

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.new if node.id == self.old and isinstance(node.ctx, ast.Load) else node


def _named(keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise ValueError("keywords are not written out")
    return keyword.arg


def _is_empty(statement: ast.stmt) -> bool:
    """Whether a statement says nothing of the program: `assert True`, or an import of it."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module in _PROGRAM_MODULES
    return isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Constant)


def _refuse_judges(body: list[ast.stmt], taken: set[str]) -> None:
    """Refuse tests that leave their judgement to the program, or need more than Python has.

    Raises:
        ValueError: naming what they use.
    """
    for call in (n for statement in body for n in ast.walk(statement) if isinstance(n, ast.Call)):
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if _root(call.func) in taken and any(isinstance(each, ast.Lambda) for each in given):
            raise ValueError(
                f"tests hand a function to the program ({ast.unparse(call)[:80]}); only plain "
                "values can be handed over"
            )
    if judges := sorted(taken & _JUDGES):
        raise ValueError(
            f"tests use {judges[0]!r} and do not import it, so that the program could bring its "
            "own; import it from the standard library, or do without"
        )
    for node in (node for statement in body for node in ast.walk(statement)):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        for module in modules:
            if module.partition(".")[0] not in sys.stdlib_module_names:
                raise ValueError(
                    f"tests import {module!r}; in the sandbox there is the standard library alone"
                )


def _root(function: ast.expr) -> str | None:
    """The name that an expression such as `Stack().items[0].push` begins with."""
    while isinstance(function, ast.Attribute | ast.Subscript | ast.Call):
        function = function.func if isinstance(function, ast.Call) else function.value
    return function.id if isinstance(function, ast.Name) else None


def _asserts(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(tree))


def _checks(body: list[ast.stmt]) -> set[str]:
    """The functions among the statements that assert something.

    Raises:
        ValueError: if one of them is a test by its name, and nothing calls it.
    """
    found = {s.name for s in body if isinstance(s, ast.FunctionDef) and _asserts(s)}
    read = {n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name)}
    if idle := sorted(name for name in found - read if name.startswith("test")):
        raise ValueError(f"tests define {idle[0]} and do not call it; add {idle[0]}() to them")
    return found


def _defined(body: list[ast.stmt]) -> set[str]:
    """The names that statements define or import."""
    found: set[str] = set()
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def _free(tree: ast.AST) -> set[str]:
    """The names that only the program can bring.

    Builtins and modules of the standard library are the tests' own: the `math.isclose` of a program
    may find everything close.
    """
    modules = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in sys.stdlib_module_names
    }
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names - modules - _BUILTINS
