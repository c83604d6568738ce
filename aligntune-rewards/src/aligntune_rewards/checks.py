"""What rewards share: checks of numbers and of libraries, and bounds that let no NaN disappear."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable

from aligntune.errors import UnavailableError

__all__ = ["highest", "need", "number", "whole", "within"]


def need(module: str, extra: str, said_by: str) -> None:
    """Check that a module is installed, without importing it.

    Raises:
        UnavailableError: naming the extra that brings it.
    """
    if importlib.util.find_spec(module) is None:
        raise UnavailableError(
            f'{said_by} needs {module}: pip install "aligntune-rewards[{extra}]"'
        )


def whole(name: str, value: object, least: int) -> None:
    """Check that a parameter is a whole number.

    Raises:
        ValueError: naming the parameter, if it is not, or is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {least}")


def number(name: str, value: object) -> None:
    """Check that a parameter is a number, of any size.

    Raises:
        ValueError: naming the parameter, if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {value!r}; it must be a number")  # noqa: TRY004


def within(value: float, low: float = 0.0, high: float = 1.0) -> float:
    """The value, or the bound that it exceeds. NaN stays NaN, which no reward may return."""
    return value if math.isnan(value) else min(high, max(low, value))


def highest(values: Iterable[float]) -> float:
    """The largest value, of which there must be one; NaN if any is."""
    return max(values, key=lambda value: math.inf if math.isnan(value) else value)
