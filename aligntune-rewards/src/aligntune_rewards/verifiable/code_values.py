"""Whether a value that came out of the sandbox is the one that is expected.

Both are plain values of exactly the builtin types, so nothing that a program defined decides here.
"""

from __future__ import annotations

import math
from typing import Any

from aligntune_rewards.sandbox import same

__all__ = ["Rule", "agree", "same_output"]


class Rule:
    """How values are compared.

    `exact`: 1 is not 1.0, and a tuple is no list. Otherwise an int and a float are compared by
    value. `python`: as Python's `==` has it, True is 1, and a tuple is no list; without it, as is
    right for what came from JSON, a bool is only equal to a bool, and a tuple to a list.
    `tolerance`: floats agree if they differ by no more than that, or that share of the larger one.
    """

    def __init__(self, *, exact: bool, python: bool, tolerance: float) -> None:
        self.exact, self.python, self.tolerance = exact, python, tolerance


def agree(actual: Any, expected: Any, rule: Rule) -> bool:
    """Whether two plain values agree by a rule."""
    if rule.exact:
        return same(actual, expected, tolerance=rule.tolerance)
    if isinstance(actual, bool) or isinstance(expected, bool):
        alike = rule.python or type(actual) is type(expected)
        return alike and bool(actual == expected)
    if isinstance(actual, int | float) and isinstance(expected, int | float):
        return _near(actual, expected, rule.tolerance)
    if isinstance(actual, list | tuple) and isinstance(expected, list | tuple):
        alike = not rule.python or type(actual) is type(expected)
        return (
            alike
            and len(actual) == len(expected)
            and all(agree(a, b, rule) for a, b in zip(actual, expected, strict=True))
        )
    if isinstance(actual, dict) and isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(
            agree(value, expected[key], rule) for key, value in actual.items()
        )
    return bool(actual == expected)


def same_output(actual: str, expected: str, tolerance: float) -> bool:
    """Whether a program wrote what it should, but for white space at the ends of lines and texts.

    With a tolerance, words that are numbers may differ by it.
    """
    ours, wanted = _lines(actual), _lines(expected)
    if ours == wanted or not tolerance:
        return ours == wanted
    return len(ours) == len(wanted) and all(
        len(a.split()) == len(b.split())
        and all(_same_word(x, y, tolerance) for x, y in zip(a.split(), b.split(), strict=True))
        for a, b in zip(ours, wanted, strict=True)
    )


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n")]


def _same_word(ours: str, wanted: str, tolerance: float) -> bool:
    if ours == wanted:
        return True
    try:
        return _near(float(ours), float(wanted), tolerance)
    except ValueError:
        return False


def _near(actual: float, expected: float, tolerance: float) -> bool:
    if actual == expected or (actual != actual and expected != expected):  # noqa: PLR0124 - NaN
        return True
    if not tolerance or (isinstance(actual, int) and isinstance(expected, int)):
        return False
    try:
        return math.isclose(actual, expected, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # an int too large for a float
        return False
