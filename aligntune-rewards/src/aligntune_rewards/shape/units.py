"""How long a completion is, in the unit that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Unit", "check_unit", "length_in"]

Unit = Literal["words", "characters", "tokens"]


def check_unit(unit: Unit) -> Unit:
    """The unit, if it is one.

    Raises:
        ValueError: if it is not.
    """
    if unit not in get_args(Unit):
        raise ValueError(f"unit is {unit!r}; it is one of {', '.join(get_args(Unit))}")
    return unit


def length_in(unit: Unit, text: str, completion_ids: Sequence[int] | None) -> int:
    """The number of words (runs without white space), characters (code points) or tokens.

    Raises:
        ValueError: if tokens are to be counted and not known.
    """
    if unit == "words":
        return len(text.split())
    if unit == "characters":
        return len(text)
    if completion_ids is None:
        raise ValueError("unit is 'tokens', and no token ids are given with the text")
    return len(completion_ids)
