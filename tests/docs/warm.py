"""Python that has imported the heavy libraries already, for the commands of pages.

To import torch and TRL takes longer than what most of these commands do. `start` makes a folder
with commands `python` and `aligntune`, to put first on PATH. Each call of `python FILE` or of
`aligntune` is a process of its own all the same: a copy of one that has imported those libraries,
and nothing of AlignTune, with the folder, the environment and the streams of the caller. Any other
call of `python`, such as `python -m pip`, is Python's own.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEAVY = (
    "torch",
    "datasets",
    "accelerate",
    "peft",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.trainer",
    "trl.trainer.sft_trainer",
    "trl.trainer.dpo_trainer",
    "trl.trainer.grpo_trainer",
)
LARGEST = 1 << 20  # bytes of a request

CALL = """#!{python} -IS
import json, os, socket, sys
given = sys.argv[1:]
script = {script!r}
if script is None:
    if not given or not given[0].endswith(".py"):
        os.execv({python!r}, [{python!r}, *given])
    script, given = os.path.abspath(given[0]), given
else:
    given = [script, *given]
request = json.dumps([script, given, os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    socket.send_fds(server, [request], [0, 1, 2])
    sys.exit(int(server.recv(16) or b"1"))
"""


@contextlib.contextmanager
def start(folder: Path) -> Iterator[Path]:
    """Start such a process; yield the folder that PATH must begin with."""
    commands, address = folder / "bin", folder / "socket"
    commands.mkdir()
    real = Path(sys.executable).with_name("aligntune")
    for name, script in (("python", None), ("aligntune", str(real))):
        text = CALL.format(python=sys.executable, script=script, address=str(address))
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONUNBUFFERED"] = "1"
    with subprocess.Popen(
        [sys.executable, __file__, str(address)], env=environment, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        ready = server.stdout.readline()
        assert ready == b"ready\n", "the process that imports libraries did not start"
        try:
            yield commands
        finally:
            server.kill()


def serve(address: str) -> None:
    """Import the libraries, and be copied for each call, for ever."""
    for name in HEAVY:
        importlib.import_module(name)
    paths = sys.path[1:]  # without the folder of this file
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        while True:
            caller, _ = server.accept()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if os.fork() == 0:
                server.close()
                os._exit(_answer(caller, paths))
            caller.close()


def _answer(caller: socket.socket, paths: list[str]) -> int:
    """Run one call in a copy of this process, and send the caller its exit status."""
    request, streams, _, _ = socket.recv_fds(caller, LARGEST, 3)
    child = os.fork()
    if child == 0:
        caller.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os._exit(_call(*json.loads(request), paths))
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(child, 0)
    caller.send(str(os.waitstatus_to_exitcode(status) & 0xFF).encode())
    return 0


def _call(
    script: str, argv: list[str], folder: str, environment: dict[str, str], paths: list[str]
) -> int:
    """Run a script as Python does, to the end of the process; return its exit status."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    more = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [os.path.dirname(script), *filter(None, more), *paths]  # noqa: PTH120
    sys.argv = argv
    random.seed()  # not the state of the process that this is a copy of
    importlib.invalidate_caches()
    main: Any = types.ModuleType("__main__")
    main.__file__ = script
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    status = 0
    try:
        with open(script, "rb") as file:  # noqa: PTH123
            code = compile(file.read(), script, "exec")
        exec(code, main.__dict__)
    except SystemExit as end:
        status = _status(end.code)
    except BaseException as error:  # noqa: BLE001 - shown as Python shows it
        shown = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        sys.excepthook(type(shown), shown, shown.__traceback__)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
    return status


def _status(code: Any) -> int:
    if code is None or isinstance(code, int):
        return int(code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    serve(sys.argv[1])
