"""One untrusted program, in the process that is given up to it.

Whatever this module knows, the program can know, and whatever this module writes, the program can
write in its place. So it holds nothing secret: no expected value, and nothing of another job.
"""

from __future__ import annotations

import atexit
import io
import json
import linecache
import os
import sys
import threading
import traceback
import types
from typing import Any

from aligntune_rewards.sandbox.values import NotPlainError, decode, encode

__all__ = ["described", "main"]

_RESULTS = 3
_FILE = "main.py"


def main(payload: int) -> int:
    """Run the program that the descriptor holds; returns its exit status.

    Descriptors 0, 1 and 2 are its own, 3 takes the results of calls.
    """
    job = json.loads(_all_of(payload))
    os.close(payload)
    for name, content in job["files"].items():
        _write(name, bytes.fromhex(content))
    for name, stream in _STREAMS.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    sys.argv = [_FILE]
    sys.path.append(os.getcwd())  # modules among its files
    source = job["source"]
    linecache.cache[_FILE] = (len(source), None, source.splitlines(True), _FILE)
    calls = job["calls"]
    if job["mode"] == "program":
        return _finish(_attempt(lambda: _execute(source, module)))
    # The program is a module here: what stands under `if __name__ == "__main__"` does not run.
    module.__name__ = "main"
    sys.modules["main"] = module
    if job["mode"] == "tested":
        from aligntune_rewards.sandbox.inside import check

        check.answer(_RESULTS, module, _attempt(lambda: _execute(source, module), tell=False))
        return 0
    status = _attempt(lambda: _execute(source, module))
    if status == 0:
        for index, call in enumerate(calls):
            _answer(job["nonce"], index, _call(call, module))
    return _finish(status)


def _all_of(descriptor: int) -> bytes:
    text = b""
    while more := os.read(descriptor, 1 << 24):
        text += more
    return text


def _write(name: str, content: bytes) -> None:
    folder = os.path.dirname(name)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(name, "wb") as file:
        file.write(content)


def _streams() -> dict[str, io.TextIOWrapper]:
    """Of descriptors 0, 1 and 2, whatever they are by then; made once, before there are jobs."""
    errors = open(  # noqa: SIM115 - for as long as the process lives
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False
    )
    errors.reconfigure(line_buffering=True)
    return {
        "stdin": open(0, encoding="utf-8", closefd=False),
        "stdout": open(1, "w", encoding="utf-8", closefd=False),
        "stderr": errors,
    }


_STREAMS = _streams()


def _execute(source: str, module: types.ModuleType) -> None:
    exec(compile(source, _FILE, "exec", dont_inherit=True), module.__dict__)


def _attempt(step: Any, *, tell: bool = True) -> int:
    """Run it as the interpreter would run a program: the exit status, the traceback on stderr."""
    try:
        step()
    except SystemExit as end:
        return _status_of(end)
    except MemoryError:
        if tell:
            _send({"end": "memory"})
        _show()
        return 1
    except BaseException:  # noqa: BLE001 - whatever a program raises is its own end
        _show()
        return 1
    return 0


def _status_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return int(end.code) & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return 1


def _show() -> None:
    kind, error, place = sys.exc_info()
    while place is not None and place.tb_frame.f_code.co_filename != _FILE:
        place = place.tb_next
    traceback.print_exception(kind, error, place)


def _finish(status: int) -> int:
    """What the interpreter does at its end, so far as a program can tell."""

    def end() -> None:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()

    late = _attempt(end)
    return status or late


def _call(call: dict[str, Any], module: types.ModuleType) -> dict[str, str]:
    try:
        function = eval(call["function"], module.__dict__)
        if call["arguments"] is None:
            value = function
        else:
            arguments, keywords = decode(call["arguments"])
            value = function(*arguments, **keywords)
    except MemoryError as error:
        return {"raised": described(error)}
    except BaseException as error:  # noqa: BLE001 - whatever a call raises is its result
        return {"raised": described(error)}
    try:
        return {"value": encode(value)}
    except (NotPlainError, RecursionError, ValueError) as error:
        return {"refused": str(error)}


def described(error: BaseException) -> str:
    """The type and the message of an exception, whatever its `__str__` does."""
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except BaseException:  # noqa: BLE001 - its own __str__ may raise anything
        return type(error).__name__


def _answer(nonce: str, index: int, result: dict[str, str]) -> None:
    _send({"nonce": nonce, "index": index, **result})


def _send(message: dict[str, Any]) -> None:
    text = json.dumps(message).encode() + b"\n"
    while text:
        text = text[os.write(_RESULTS, text) :]
