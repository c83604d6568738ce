"""Checks that constructors and `load` share: numbers, and libraries that come with an extra."""

from __future__ import annotations

import importlib.util

from aligntune.errors import UnavailableError

__all__ = ["need", "whole"]


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
