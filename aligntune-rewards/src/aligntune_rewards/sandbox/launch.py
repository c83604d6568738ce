"""The command that starts a server behind its walls, for each tier.

A privileged user first gives up what would make the walls useless: bubblewrap is started as nobody,
because limits and permissions do not bind root.
"""

from __future__ import annotations

import functools
import itertools
import marshal
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from aligntune_rewards.sandbox import interpreter

__all__ = ["FAMILIES", "NOBODY", "TMP", "Tier", "command", "job_user"]

Tier = Literal["bwrap", "landlock+seccomp+rlimits", "rlimits"]
NOBODY = 65534
# Sockets that a job may open where it has a network of its own: unix ones, which end with it. Those
# of a virtual machine (vsock), for example, know no namespaces, and a port stays taken for a while.
FAMILIES = (1,)
TMP, _SHARED = "/tmp", "/dev/shm"  # noqa: S108 - those inside
_COUNT = itertools.count()
_HERE = Path(__file__).parent
_INSIDE = ("linux", "seccomp", "packets", "processes", "job", "check", "walls", "server")
_MODULES = ("values", *(f"inside.{name}" for name in _INSIDE))
_PACKAGE = "aligntune_rewards.sandbox"
# A packet on the socket is the rest of the program. Hashes of texts are the same in every process,
# so that a result does not depend on the order of a set; `-I` would not let them.
_START = "import marshal, os; exec(marshal.loads(os.read(0, 1 << 20)))"
_PYTHON = ["-S", "-s", "-P", "-c", _START]
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}


def job_user() -> int | None:
    """A user that only the jobs of one server have, or None where users cannot be changed."""
    if os.geteuid() != 0:
        return None
    turn = os.getpid() * 64 + next(_COUNT) % 64
    last = Path("/proc/self/uid_map").read_text().split()
    whole = len(last) == 3 and int(last[2]) > 2_000_000_000
    return 1_900_000_000 + turn if whole else 61_184 + turn % 4_000


def command(
    tier: Tier, disk_mb: int | None, settings: dict[str, Any]
) -> tuple[list[str], dict[str, str], list[bytes]]:
    """What to start, its environment, and the packets to send to it first.

    `disk_mb`: of the one job's own folder, where jobs do not get namespaces of their own.
    """
    python = [interpreter.executable(), *_PYTHON]
    line = _bubblewrap(python, disk_mb) if tier == "bwrap" else python
    packets = [_program(_MODULES, "inside.server", f"serve({settings!r})")]
    if os.geteuid() == 0:
        shown = interpreter.hidden(interpreter.readable())
        user = NOBODY if tier == "bwrap" else None
        call = f"launch({shown!r}, {user!r}, {line!r})"
        packets.insert(0, _program(("inside.linux", "inside.launcher"), "inside.launcher", call))
        line = python
    return line, _ENVIRONMENT, packets


def _bubblewrap(python: list[str], disk_mb: int | None) -> list[str]:
    found = shutil.which("bwrap")
    assert found is not None
    # As the first process, the server ends together with bubblewrap, which then collects it.
    line = [
        found,
        "--unshare-all",
        "--as-pid-1",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
    ]
    line += ["--hostname", "sandbox", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    for name, value in _ENVIRONMENT.items():
        line += ["--setenv", name, value]
    for path in interpreter.readable():
        if Path(path).is_symlink() and path in {"/lib", "/lib64", "/usr/lib64"}:
            line += ["--symlink", str(Path(path).readlink()), path]
        else:
            line += ["--ro-bind", path, path]
    for path in interpreter.masked():
        line += ["--tmpfs", path, "--remount-ro", path]
    # Not "zero": mapped by several processes, it is memory that no limit counts.
    for name in ("null", "full", "random", "urandom"):
        line += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    line += ["--dir", _SHARED, "--symlink", "/proc/self/fd", "/dev/fd"]
    line += ["--proc", "/proc", "--dir", TMP, "--remount-ro", "/", "--chdir", "/"]
    if disk_mb is not None:
        for place in (TMP, _SHARED):
            line += ["--size", str(disk_mb << 20), "--tmpfs", place]
    return [*line, "--cap-drop", "ALL", "--", *python]


def _program(names: tuple[str, ...], module: str, call: str) -> bytes:
    """Some of our modules as one program, for an interpreter that cannot import them."""
    packages = [(name, b"") for name in ("aligntune_rewards", _PACKAGE, f"{_PACKAGE}.inside")]
    modules = [(f"{_PACKAGE}.{name}", _code(name)) for name in names]
    text = f"""
import marshal, sys
for name, code in {(*packages, *modules)!r}:
    made = sys.modules[name] = type(sys)(name)
    made.__path__ = []
    if code:
        exec(marshal.loads(code), made.__dict__)
sys.modules["{_PACKAGE}.{module}"].{call}
"""
    return marshal.dumps(compile(text, "aligntune", "exec", dont_inherit=True))


@functools.cache
def _code(name: str) -> bytes:
    """A module of ours, compiled for the interpreter that runs this one as well."""
    path = _HERE / f"{name.replace('.', '/')}.py"
    return marshal.dumps(compile(path.read_text(encoding="utf-8"), name, "exec", dont_inherit=True))
