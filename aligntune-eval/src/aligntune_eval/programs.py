"""Programs to run and their tests, from rows in the shapes of HumanEval, MBPP and APPS.

The shape is that of the columns: the first of `tests`, `test` (with `entry_point`), `test_list` and
`input_output` that the rows have. What the sandbox is given is always one fenced block of code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.evaluation.columns import Rows

__all__ = ["SHAPES", "Checks", "checks_of", "fenced", "shape_of"]

SHAPES = {
    "tests": "tests as the reward code_execution takes them",
    "test": "HumanEval: Python with `check(candidate)`, and `entry_point`",
    "test_list": "MBPP: a list of asserts, with `test_setup_code` or `test_imports`",
    "input_output": 'APPS: {"inputs": [...], "outputs": [...]}, with `fn_name` for calls; or JSON',
}
"""Column that holds the tests -> what it holds."""


@dataclass(frozen=True)
class Checks:
    """What one row tests: the columns of the reward `code_execution`.

    `before`: what a completion continues, text that stands before it; empty where it is a program
    by itself.
    """

    tests: Any
    setup: str | None = None
    entry_point: str | None = None
    before: str = ""


def shape_of(who: str, rows: Rows) -> str:
    """The column of the tests.

    Raises:
        EvaluationError: if the rows have none; says what there could be.
    """
    there = dict.fromkeys(k for row in rows for k, value in row.items() if value is not None)
    for name in SHAPES:
        if name in there:
            return name
    could = "; ".join(f"{name!r} ({what})" for name, what in SHAPES.items())
    raise EvaluationError(
        f"evaluator {who!r} needs tests, and the rows have none; the columns there are: "
        f"{', '.join(there)}; tests stand in one of {could}"
    )


def checks_of(row: Mapping[str, Any], shape: str, prompt: Any) -> Checks:
    """The tests of a row, and what stands before a completion of it.

    Only in the shape of HumanEval does a completion continue its prompt; of a conversation nothing
    is continued.

    Raises:
        ValueError: if the row has no tests, or of HumanEval no entry point.
    """
    given = row.get(shape)
    if given is None or given in ("", []):
        raise ValueError(f"{shape!r} is empty")
    if shape == "test":
        point = row.get("entry_point")
        if not isinstance(point, str) or not point:
            raise ValueError("'entry_point' is missing, the name of the function that is tested")
        return Checks(given, None, point, prompt if isinstance(prompt, str) else "")
    if shape == "test_list":
        imports = row.get("test_imports") or []
        setup = row.get("test_setup_code") or None
        return Checks([*imports, *given], setup)
    if shape == "input_output":
        return Checks(given)
    return Checks(given, row.get("setup") or None, row.get("entry_point") or None)


def fenced(code: str) -> str:
    """The code as a block of Markdown that no fence within it ends."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}python\n{code}\n{marks}"
