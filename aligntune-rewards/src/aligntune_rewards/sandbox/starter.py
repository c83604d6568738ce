"""The thread that starts every server of this process: bubblewrap ends when its starter does."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import threading
from typing import Any

from aligntune_rewards.sandbox.errors import SandboxError

__all__ = ["start"]


class _Starter(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True, name="aligntune-sandbox-starter")
        self.asked: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            line, environment, control, answer = self.asked.get()
            try:
                answer.put(
                    subprocess.Popen(
                        line,
                        env=environment,
                        stdin=control,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        cwd="/",
                        start_new_session=True,
                    )
                )
            except OSError as error:
                answer.put(error)
            del line, environment, control, answer


_starters: dict[int, _Starter] = {}  # one for each process, should this one fork


def start(
    line: list[str], environment: dict[str, str], control: socket.socket
) -> subprocess.Popen[bytes]:
    """Start a process with the socket as its standard input; its complaints can be read.

    Raises:
        SandboxError: if there is no such program.
    """
    made = _Starter()
    starter = _starters.setdefault(os.getpid(), made)
    if starter is made:
        starter.start()
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
    starter.asked.put((line, environment, control, answer))
    started = answer.get()
    if isinstance(started, OSError):
        raise SandboxError(f"{line[0]} cannot be started: {started}") from started
    assert isinstance(started, subprocess.Popen)
    return started
