"""Tests on one side, the program that they test on the other, and plain values between them.

The tests run in a process that never runs a line of the program. What they take from it is a proxy:
a call sends plain arguments over, and brings back a plain value, an exception of a builtin type, or
another proxy. A proxy is equal to nothing but itself, so that whatever the program defines, `==`
is decided here.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import operator
import os
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from aligntune_rewards.sandbox.inside import job
from aligntune_rewards.sandbox.values import NotPlainError, decode, encode

__all__ = ["ProgramError", "Proxy", "answer", "main"]

_LONGEST = 1 << 26
# Raised through `map` or `iter`, these end a loop of the tests before its time, and nothing fails.
_ENDING = (StopIteration, StopAsyncIteration)


class ProgramError(Exception):
    """The program raised something that has no name among the builtin exceptions, or has ended."""


class _Link:
    """Messages to the other process and back, each with its length in front."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, message: object) -> None:
        text = json.dumps(message).encode()
        text = len(text).to_bytes(4, "little") + text
        while text:
            text = text[os.write(self.descriptor, text) :]

    def receive(self) -> dict[str, Any]:
        size = int.from_bytes(self._exactly(4), "little")
        if size > _LONGEST:
            raise ProgramError("the program has sent too much")
        try:
            message = json.loads(self._exactly(size))
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ProgramError("the program has sent nonsense")
        return message

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            text = os.read(self.descriptor, min(size, 1 << 16))
            if not text:
                raise ProgramError("the program has ended")
            parts.append(text)
            size -= len(text)
        return b"".join(parts)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self.send(request)
        except OSError:
            raise ProgramError("the program has ended") from None
        return self.receive()


class Proxy:
    """Something of the program that is no plain value. Only calls and look-ups reach it."""

    __slots__ = ("_handle", "_link")
    __hash__ = object.__hash__

    def __init__(self, link: _Link, handle: int) -> None:
        self._link, self._handle = link, handle

    def __eq__(self, other: object) -> bool:
        return self is other

    def __bool__(self) -> bool:
        return _ask(self._link, "truth", self._handle, (), {}) is True

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return _ask(self._link, "call", self._handle, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _ask(self._link, "attribute", self._handle, (name,), {})

    def __getitem__(self, key: Any) -> Any:
        return _ask(self._link, "item", self._handle, (key,), {})

    def __len__(self) -> int:
        length = _ask(self._link, "length", self._handle, (), {})
        if type(length) is not int or length < 0:
            raise TypeError("the program's length is no number")
        return length

    def __iter__(self) -> Iterator[Any]:
        iterator = _ask(self._link, "iterate", self._handle, (), {})
        while type(iterator) is Proxy:
            found = _ask(self._link, "next", iterator._handle, (), {})
            if type(found) is not list or len(found) != 1:
                return
            yield found[0]


def _ask(
    link: _Link, verb: str, handle: int, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    try:
        packed = encode([list(arguments), keywords], _handle_of)
    except NotPlainError as error:
        raise TypeError(f"cannot be handed to the program: {error}") from None
    answer = link.ask({"verb": verb, "handle": handle, "arguments": packed})
    for given, after in zip(arguments, _plain(link, answer.get("after")) or (), strict=False):
        _update(given, after)
    if isinstance(names := answer.get("raised"), list):
        raise _exception(names, str(answer.get("text", "")))
    return _plain(link, answer.get("value"))


def _handle_of(value: object) -> int | None:
    return value._handle if type(value) is Proxy else None


def _plain(link: _Link, text: object) -> Any:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ProgramError("the program has sent nonsense")
    return decode(text, lambda handle: Proxy(link, handle))


def _update(given: Any, after: Any) -> None:
    """What the program has done to a list, dict or set that it was given shows here as well."""
    if type(given) is not type(after):
        return
    if type(given) is list:
        given[:] = after
    elif type(given) in {dict, set}:
        given.clear()
        given.update(after)


def _exception(names: list[Any], text: str) -> Exception:
    for name in names:
        kind = getattr(builtins, name, None) if isinstance(name, str) else None
        if kind in _ENDING:
            break
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not Exception:
            try:
                return kind(text)
            except TypeError:  # UnicodeDecodeError and its kin want more than a text
                continue
    return ProgramError(f"{names[0] if names else 'nothing'}: {text}")


def main(payload: int, link: int, results: int) -> int:
    """Run the tests that the descriptor holds, and report each on `results`."""
    with os.fdopen(payload, "rb") as file:
        task = json.loads(file.read())
    connection = _Link(link)
    space: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}

    def report(message: dict[str, Any]) -> None:
        text = json.dumps({"nonce": task["nonce"], **message}).encode() + b"\n"
        while text:
            text = text[os.write(results, text) :]

    if (status := _started(connection)) != 0:
        return status
    before = _failure(lambda: _prepare(task, space, connection))
    for index, test in enumerate(task["tests"]):
        failure = before or _failure(lambda test=test: _execute(test, space))  # type: ignore[misc]
        report({"index": index, "failure": failure})
    return 0


def _started(connection: _Link) -> int:
    try:
        status = connection.receive().get("status")
    except (ProgramError, OSError):
        return 1
    return status if type(status) is int else 1


def _prepare(task: dict[str, Any], space: dict[str, Any], connection: _Link) -> None:
    for name in task["names"]:
        answer = connection.ask({"verb": "name", "handle": 0, "arguments": encode([[name], {}])})
        if "value" in answer:  # or else the tests that use it raise a NameError
            space[name] = _plain(connection, answer["value"])
    _execute(task["setup"], space)


def _execute(text: str, space: dict[str, Any]) -> None:
    """Run a text of the tests; modules that it looks into need no import."""
    tree = ast.parse(text, "tests.py")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.value.id
            if name in sys.stdlib_module_names and name not in space:
                space[name] = importlib.import_module(name)
    exec(compile(tree, "tests.py", "exec", dont_inherit=True), space)


def _failure(step: Callable[[], None]) -> str:
    """Why a step of the tests did not pass, or nothing if it did."""
    try:
        step()
    except AssertionError as error:
        return f"AssertionError: {error}"[:500] if str(error) else "AssertionError"
    except BaseException as error:  # noqa: BLE001 - tests may raise anything, and then have failed
        return f"{type(error).__name__}: {error}"[:500]
    return ""


def answer(descriptor: int, module: types.ModuleType, status: int) -> None:
    """In the program's process: serve its side of the link until the tests end."""
    link = _Link(descriptor)
    link.send({"status": status})
    held: list[Any] = [None]
    while True:
        try:
            request = link.receive()
        except ProgramError:
            return
        reply = _serve(request, module, held)
        sys.stdout.flush()  # the tests may end this process at any time
        link.send(reply)


def _serve(request: dict[str, Any], module: types.ModuleType, held: list[Any]) -> dict[str, Any]:
    def keep(value: object) -> int:
        held.append(value)
        return len(held) - 1

    arguments, keywords = decode(request["arguments"], held.__getitem__)
    target = held[request["handle"]]
    try:
        if request["verb"] == "name":
            found = module.__dict__.get(arguments[0], sys)
            if found is sys:
                return {}
            return {"value": encode(found, keep)}
        result = _VERBS[request["verb"]](target, *arguments, **keywords)
        return {"value": encode(result, keep), "after": encode(arguments, keep)}
    except BaseException as error:  # noqa: BLE001 - whatever a program raises is told
        names = [kind.__name__ for kind in type(error).__mro__]
        return {"raised": names, "text": job.described(error).partition(": ")[2]}


def _next(target: Any) -> list[Any]:
    try:
        return [next(target)]
    except StopIteration:
        return []


_VERBS: dict[str, Callable[..., Any]] = {
    "call": lambda target, *arguments, **keywords: target(*arguments, **keywords),
    "attribute": getattr,
    "item": operator.getitem,
    "length": len,
    "truth": bool,
    "iterate": iter,
    "next": _next,
}
