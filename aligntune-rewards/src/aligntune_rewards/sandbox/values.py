"""Plain values as they leave the sandbox: what Python writes as a literal, of exactly those types.

Only `None`, bool, int, float, complex, str, bytes, list, tuple, set, frozenset and dict go through,
never an object of a subclass, so that nothing which was defined inside, such as an `__eq__` that is
always true, has a say in a comparison outside. A dict of the module `collections` leaves as a dict,
and a named tuple as a tuple. The text form is JSON with a letter for each type.
"""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

__all__ = ["NotPlainError", "decode", "encode", "same"]

_DEPTH = 100
_SMALL = 1 << 53
_ALIKE = 1000
_ATOMS = {type(None), bool, int, str, bytes, complex}
_SEQUENCES = {"l": list, "t": tuple, "s": set, "z": frozenset}
_DICTS = {dict, Counter, OrderedDict, defaultdict}
_LETTERS: dict[type, str] = {kind: letter for letter, kind in _SEQUENCES.items()}


class NotPlainError(ValueError):
    """A value, or a text that should stand for one, is not made of plain literals alone."""


def encode(value: object, handle: Callable[[object], int | None] | None = None) -> str:
    """The text form of a plain value.

    `handle`: gives a number that stands for a part that is not plain, or None to refuse it.

    Raises:
        NotPlainError: if some part is of another type, or nested deeper than 100 levels.
    """
    return json.dumps(_pack(value, _DEPTH, handle), separators=(",", ":"))


def decode(text: str | bytes, held: Callable[[int], Any] | None = None) -> Any:
    """The value that a text stands for; trusts nothing about the text.

    `held`: gives what a number stands for; without it such numbers are refused.

    Raises:
        NotPlainError: if the text is no text form of a plain value.
    """
    try:
        return _unpack(json.loads(text), _DEPTH, held)
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise NotPlainError(f"not the text of a plain value: {error}") from None


def _pack(value: object, depth: int, handle: Any) -> Any:
    if depth < 0:
        raise NotPlainError(f"nested deeper than {_DEPTH} levels")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int or kind is float or kind is complex or kind is bytes:
        return _pack_atom(value)
    if (letter := _LETTERS.get(kind)) is not None:
        return [letter, [_pack(item, depth - 1, handle) for item in list(value)]]  # type: ignore[call-overload]
    if kind.__bases__ == (tuple,) and hasattr(kind, "_fields"):
        return _pack(tuple(value), depth, handle)  # type: ignore[arg-type]
    if kind in _DICTS:
        items = list(value.items())  # type: ignore[attr-defined]
        return ["d", [[_pack(part, depth - 1, handle) for part in pair] for pair in items]]
    if handle is not None and (number := handle(value)) is not None:
        return ["h", [number]]
    raise NotPlainError(f"a value of type {kind.__name__} is no plain literal")


def _pack_atom(value: Any) -> Any:
    if type(value) is int:
        return value if -_SMALL < value < _SMALL else ["i", hex(value)]
    if type(value) is float:
        return ["f", float.hex(value)]
    if type(value) is bytes:
        return ["b", value.hex()]
    return ["c", [float.hex(value.real), float.hex(value.imag)]]


def _unpack(packed: Any, depth: int, held: Any) -> Any:
    if depth < 0:
        raise NotPlainError(f"nested deeper than {_DEPTH} levels")
    if packed is None or type(packed) in {bool, str, int}:
        return packed
    if type(packed) is not list or len(packed) != 2:
        raise NotPlainError("a value is neither plain nor a letter with its content")
    letter, content = packed
    if type(content) is str:
        return _unpack_atom(letter, content)
    if type(content) is not list:
        raise NotPlainError("a value has no content")
    if letter == "h" and held is not None and type(content[0]) is int:
        return held(content[0])
    if letter == "c":
        real, imag = content
        return complex(float.fromhex(real), float.fromhex(imag))
    return _unpack_items(letter, content, depth - 1, held)


def _unpack_items(letter: object, content: list[Any], depth: int, held: Any) -> Any:
    if letter == "d":
        keys = [_unpack(key, depth, held) for key, _ in content]
        _spread(keys)
        values = [_unpack(value, depth, held) for _, value in content]
        return dict(zip(keys, values, strict=True))
    if type(letter) is not str or letter not in _SEQUENCES:
        raise NotPlainError("a value has an unknown type")
    items = [_unpack(item, depth, held) for item in content]
    if letter in "sz":
        _spread(items)
    return _SEQUENCES[letter](items)


def _spread(items: list[Any]) -> None:
    """Refuse items made to have equal hashes, which would keep whoever builds a set busy."""
    if len(items) > _ALIKE and len(items) - len({str(hash(item)) for item in items}) > _ALIKE:
        raise NotPlainError(f"more than {_ALIKE} items of a set or dict have equal hashes")


def _unpack_atom(letter: object, content: str) -> Any:
    if letter == "i":
        return int(content, 16)
    if letter == "f":
        return float.fromhex(content)
    if letter == "b":
        return bytes.fromhex(content)
    raise NotPlainError("a value has an unknown type")


def same(actual: object, expected: object, *, tolerance: float = 0.0) -> bool:
    """Whether two plain values agree in type and content, part by part.

    `True` is not 1, 1 is not 1.0, and a tuple is no list; NaN agrees with NaN. With a tolerance,
    two floats agree when they differ by no more than that much, or that share of the larger one;
    parts of sets and keys always have to agree exactly. The order of a dict does not count.
    """
    if type(actual) is not type(expected):
        return False
    if isinstance(actual, float) and isinstance(expected, float):
        return _same_float(actual, expected, tolerance)
    if isinstance(actual, list | tuple) and isinstance(expected, list | tuple):
        return len(actual) == len(expected) and all(
            same(a, b, tolerance=tolerance) for a, b in zip(actual, expected, strict=True)
        )
    if isinstance(actual, dict) and isinstance(expected, dict):
        return _same_dict(actual, expected, tolerance)
    if isinstance(actual, set | frozenset) and isinstance(expected, set | frozenset):
        return {_typed(item) for item in actual} == {_typed(item) for item in expected}
    return type(actual) in _ATOMS and actual == expected


def _same_float(actual: float, expected: float, tolerance: float) -> bool:
    if math.isnan(actual) or math.isnan(expected):
        return math.isnan(actual) and math.isnan(expected)
    return actual == expected or math.isclose(
        actual, expected, rel_tol=tolerance, abs_tol=tolerance
    )


def _same_dict(actual: dict[Any, Any], expected: dict[Any, Any], tolerance: float) -> bool:
    ours = {_typed(key): value for key, value in expected.items()}
    theirs = {_typed(key): value for key, value in actual.items()}
    return ours.keys() == theirs.keys() and all(
        same(value, ours[key], tolerance=tolerance) for key, value in theirs.items()
    )


def _typed(item: object) -> str:
    """An exact name of a hashable value, its type and those of its parts included."""
    if isinstance(item, frozenset):
        return f"z({','.join(sorted(map(_typed, item)))})"
    if isinstance(item, tuple):
        return f"t({','.join(map(_typed, item))})"
    return encode(item)
