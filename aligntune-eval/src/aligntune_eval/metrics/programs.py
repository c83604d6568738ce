"""Programs to run and their tests, from rows in the shapes of HumanEval, MBPP and APPS.

The shape is that of the columns: the first of `tests`, `test` (with `entry_point`), `test_list` and
`input_output` that the rows have. What the sandbox is given is always one fenced block of code.
"""

from __future__ import annotations

import codeop
import re
import warnings
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

_SHOWN = 80


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


def checks_of(row: Mapping[str, Any], shape: str, before: Any) -> Checks:
    """The tests of a row, and what stands before a completion of it.

    `before`: what a completion continues. What is no text, such as a conversation, is not
    continued.

    Raises:
        ValueError: if the row has no tests, or of HumanEval no entry point, or `before` is not the
            beginning of a program.
    """
    before = before if isinstance(before, str) else ""
    if before and not _begins_a_program(before):
        raise ValueError(
            f"{_short(before)} is not the beginning of a Python program, which a completion could "
            "continue; set the parameter `continues` to the column that holds one, or to false if "
            "completions are whole programs"
        )
    given = row.get(shape)
    if given is None or given in ("", []):
        raise ValueError(f"{shape!r} is empty")
    if shape == "test":
        point = row.get("entry_point")
        if not isinstance(point, str) or not point:
            raise ValueError("'entry_point' is missing, the name of the function that is tested")
        return Checks(given, None, point, before)
    if shape == "test_list":
        imports = row.get("test_imports") or []
        setup = row.get("test_setup_code") or None
        return Checks([*imports, *given], setup, None, before)
    if shape == "input_output":
        return Checks(given, None, None, before)
    return Checks(given, row.get("setup") or None, row.get("entry_point") or None, before)


def fenced(code: str) -> str:
    """The code as a block of Markdown that no fence within it ends."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}python\n{code}\n{marks}"


def _begins_a_program(text: str) -> bool:
    """Whether a text is a program, or could become one; nothing of it runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strange escapes in the texts of data sets
        try:
            codeop.compile_command(text, symbol="exec")
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False
    return True


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
