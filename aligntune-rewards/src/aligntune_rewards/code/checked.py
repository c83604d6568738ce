"""Parameters that are numbers or truth values: returned as they are, or refused with a reason."""

from __future__ import annotations

import math

__all__ = ["flag", "positive", "whole"]


def flag(given: object, name: str) -> bool:
    """True or false.

    Raises:
        ValueError: if it is anything else, such as the text "false".
    """
    if not isinstance(given, bool):
        raise ValueError(f"{name} is {given!r}; it must be true or false")  # noqa: TRY004
    return given


def whole(given: object, name: str, low: int, high: int) -> int:
    """A whole number within limits.

    Raises:
        ValueError: if it is anything else.
    """
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        raise ValueError(f"{name} is {given!r}; it must be a whole number from {low} to {high}")
    return given


def positive(given: object, name: str) -> float:
    """A finite number above 0.

    Raises:
        ValueError: if it is anything else.
    """
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not 0.0 < given < math.inf:  # type: ignore[operator]
        raise ValueError(f"{name} is {given!r}; it must be a finite number above 0")
    return float(given)  # type: ignore[arg-type]
