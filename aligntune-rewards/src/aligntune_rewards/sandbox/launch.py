"""The command that starts a server behind its walls, for each tier.

A privileged user first gives up what would make the walls useless: bubblewrap is started as nobody,
because limits and permissions do not bind root.
"""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from aligntune_rewards.sandbox import interpreter

__all__ = ["FAMILIES", "NOBODY", "TMP", "Tier", "bundle", "command", "job_user"]

Tier = Literal["bwrap", "landlock+seccomp+rlimits", "rlimits"]
NOBODY = 65534
# Sockets that a job may open where it has a network of its own: unix ones, which end with it. Those
# of a virtual machine (vsock), for example, know no namespaces, and a port stays taken for a while.
FAMILIES = (1,)
TMP, _SHARED = "/tmp", "/dev/shm"  # noqa: S108 - those inside
_COUNT = itertools.count()
_HERE = Path(__file__).parent
_INSIDE = ("linux", "seccomp", "job", "check", "server")
_MODULES = ("values", *(f"inside.{name}" for name in _INSIDE))
_PACKAGE = "aligntune_rewards.sandbox"
# The first packet on the socket is the rest of the program. Hashes of texts are the same in every
# process, so that a program's result does not depend on the order of a set.
_PYTHON = ["-S", "-s", "-P", "-c", "import os; exec(os.read(0, 1 << 20))"]
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}


def job_user() -> int | None:
    """A user that only the jobs of one server have, or None where users cannot be changed."""
    if os.geteuid() != 0:
        return None
    turn = os.getpid() * 64 + next(_COUNT) % 64
    last = Path("/proc/self/uid_map").read_text().split()
    whole = len(last) == 3 and int(last[2]) > 2_000_000_000
    return 1_900_000_000 + turn if whole else 61_184 + turn % 4_000


def command(tier: Tier, disk_mb: int | None) -> tuple[list[str], dict[str, str]]:
    """What to start, and its environment.

    `disk_mb`: of the one job's own folder, where jobs do not get namespaces of their own.
    """
    python = [interpreter.executable(), *_PYTHON]
    if tier == "bwrap":
        python = _bubblewrap(python, disk_mb)
    if os.geteuid() == 0:
        shown = interpreter.hidden(interpreter.readable())
        user = NOBODY if tier == "bwrap" else None
        call = f"launch({shown!r}, {user!r}, {python!r})"
        source = _program(("inside.linux", "inside.launcher"), "inside.launcher", call)
        return [interpreter.executable(), "-I", "-S", "-c", source], _ENVIRONMENT
    return python, _ENVIRONMENT


def _bubblewrap(python: list[str], disk_mb: int | None) -> list[str]:
    found = shutil.which("bwrap")
    assert found is not None
    line = [found, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
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
    for name in ("null", "zero", "full", "random", "urandom"):
        line += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    line += ["--dir", _SHARED, "--symlink", "/proc/self/fd", "/dev/fd"]
    line += ["--proc", "/proc", "--dir", TMP, "--remount-ro", "/", "--chdir", "/"]
    if disk_mb is not None:
        for place in (TMP, _SHARED):
            line += ["--size", str(disk_mb << 20), "--tmpfs", place]
    return [*line, "--cap-drop", "ALL", "--", *python]


def bundle(settings: dict[str, Any]) -> bytes:
    """The server's program: our modules as text, and a call to its loop."""
    return _program(_MODULES, "inside.server", f"serve({settings!r})").encode()


def _program(names: tuple[str, ...], module: str, call: str) -> str:
    """Some of our modules as one program, for an interpreter that cannot import them."""
    packages = ["aligntune_rewards", _PACKAGE, f"{_PACKAGE}.inside"]
    modules = [(f"{_PACKAGE}.{name}", _source(name)) for name in names]
    return f"""
import sys, types
for name, source in {[(name, "") for name in packages] + modules!r}:
    made = sys.modules[name] = types.ModuleType(name)
    made.__path__ = []
    exec(compile(source, name, "exec"), made.__dict__)
sys.modules["{_PACKAGE}.{module}"].{call}
"""


def _source(name: str) -> str:
    return (_HERE / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
