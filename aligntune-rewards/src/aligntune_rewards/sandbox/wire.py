"""What goes into a job and how its answers are read, none of which is believed for its form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from aligntune_rewards.sandbox.errors import SandboxError
from aligntune_rewards.sandbox.results import Checked, Outcome, Result, Returned
from aligntune_rewards.sandbox.running import Ended
from aligntune_rewards.sandbox.values import NotPlainError, decode

__all__ = ["pack_files", "read_checked", "read_returned", "result_of"]

_ERROR_LENGTH = 600


def pack_files(files: Mapping[str, str | bytes]) -> dict[str, str]:
    """The files as JSON can hold them.

    Raises:
        ValueError: if a path leads out of the job's folder.
    """
    packed = {}
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"a file's path must stay in the job's folder: {name!r}")
        packed[name] = (content.encode() if isinstance(content, str) else content).hex()
    return packed


def result_of(ended: Ended) -> Result:
    """How the program ended."""
    outcome: Outcome
    if ended.reason in {"timeout", "memory", "output"}:
        outcome = ended.reason  # type: ignore[assignment]
    elif ended.reason == "disk":
        outcome = "killed"
    elif ended.reason:
        raise SandboxError(f"the sandbox {ended.reason}")
    elif any(message == {"end": "memory"} for message in _messages(ended.written[2])):
        outcome = "memory"
    elif ended.exit_code is None or ended.exit_code < 0:
        outcome = "killed"
    else:
        outcome = "ok" if ended.exit_code == 0 else "error"
    stdout, stderr = (text.decode(errors="replace") for text in ended.written[:2])
    return Result(outcome, ended.exit_code, stdout, stderr, ended.seconds)


def _messages(text: bytes) -> Iterator[dict[str, Any]]:
    """The messages on the pipe for results, up to the first thing that is none."""
    for line in text.split(b"\n")[:-1]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        yield message


def _in_order(text: bytes, nonce: str, count: int) -> Iterator[dict[str, Any]]:
    """The answers 0, 1, 2, …: the program can write what it likes, but no answer twice."""
    for index, message in zip(range(count), _messages(text), strict=False):
        if message.get("nonce") != nonce or message.get("index") != index:
            return
        yield message


def read_returned(ended: Ended, nonce: str, count: int) -> tuple[Returned, ...]:
    """What the calls returned: exactly `count`, whatever was written."""
    returned = [_returned(message) for message in _in_order(ended.written[2], nonce, count)]
    return (*returned, *[Returned("missing")] * (count - len(returned)))


def _returned(message: dict[str, Any]) -> Returned:
    if isinstance(text := message.get("value"), str):
        try:
            return Returned("value", decode(text))
        except NotPlainError as error:
            return Returned("refused", error=str(error)[:_ERROR_LENGTH])
    if isinstance(text := message.get("raised"), str):
        return Returned("raised", error=text[:_ERROR_LENGTH])
    return Returned("refused", error=str(message.get("refused", ""))[:_ERROR_LENGTH])


def read_checked(ended: Ended, nonce: str, count: int) -> tuple[Checked, ...]:
    """What became of the tests; these lines come from the process that the program cannot reach."""
    tests = [
        Checked("failed" if message["failure"] else "passed", message["failure"])
        for message in _in_order(ended.written[2], nonce, count)
    ]
    return (*tests, *[Checked("missing")] * (count - len(tests)))
