"""The program that calls one reward's `compute`, in a process that the engine can kill.

Its first request brings the search path and the reward, pickled; each further one a text and its
keywords. The answer holds the value, or what was raised. What the reward prints goes to standard
error, so that nothing gets between the answers.
"""

from __future__ import annotations

import base64
import faulthandler
import json
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from typing import Any

from aligntune.answering import open_answers

__all__ = ["main", "packed", "unpacked"]

_LATE = 5.0


def packed(value: object, dumps: Any = pickle.dumps) -> str:
    """A value as text that JSON can hold."""
    return base64.b64encode(dumps(value)).decode("ascii")


def unpacked(text: str) -> Any:
    """The value that `packed` made a text of."""
    return pickle.loads(base64.b64decode(text))  # noqa: S301 - both ends are this program


def _requests() -> queue.SimpleQueue[dict[str, Any]]:
    """Lines of standard input; when it ends, so does this process, with whatever it started."""
    found: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            found.put(json.loads(line))
        if sys.platform != "win32":
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return found


def _raised(error: BaseException) -> dict[str, str]:
    """An exception as an answer; one that cannot be pickled is told in words."""
    trace = "".join(traceback.format_exception(error))
    told = packed(RuntimeError(f"{type(error).__name__}: {error}"))
    if not isinstance(error, Exception):  # such as SystemExit, which would end the caller
        return {"raised": told, "trace": trace}
    try:
        whole = packed(error)
        unpacked(whole)
    except Exception:  # noqa: BLE001 - pickling runs code of the exception's own
        whole = told
    return {"raised": whole, "trace": trace}


def _answer(reward: Any, request: dict[str, Any]) -> dict[str, str]:
    # Who asks kills what takes too long. Where that process is gone, and the interpreter's lock is
    # held, as by a regular expression, only this timer ends it: it needs no lock.
    faulthandler.dump_traceback_later(request["seconds"] + _LATE, exit=True)
    try:
        text, columns = unpacked(request["call"])
        return {"value": packed(reward.compute(text, **columns))}
    except BaseException as error:  # noqa: BLE001 - whatever a reward raises is its caller's to see
        return _raised(error)
    finally:
        faulthandler.cancel_dump_traceback_later()


def main() -> None:
    """Answer requests until standard input ends."""
    say = open_answers()
    requests = _requests()
    say({"ready": True})
    first = requests.get()
    sys.path[:] = first["path"]
    try:
        reward = unpacked(first["reward"])
    except BaseException as error:  # noqa: BLE001 - importing a reward's module runs its code
        say({"error": f"{type(error).__name__}: {error}"})
        return
    say({})
    while True:
        say(_answer(reward, requests.get()))


if __name__ == "__main__":
    main()
