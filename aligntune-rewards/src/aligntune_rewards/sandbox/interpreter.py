"""Where this Python lies, so that a sandbox can show it to a program, and little else."""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from pathlib import Path

__all__ = ["executable", "hidden", "masked", "readable"]

# The libraries that Python and its modules are linked to, the linker's list of them, time zones.
_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")


def executable() -> str:
    """The interpreter itself, not the link to it that a virtual environment has."""
    base: str = getattr(sys, "_base_executable", "") or sys.executable
    return os.path.realpath(base)


def readable() -> list[str]:
    """Files and folders that a program needs to see, the interpreter's own first."""
    libraries = {
        str(Path(sysconfig.get_path(name, vars=_base())).parent)
        for name in ("stdlib", "platstdlib")
    }
    own = [executable(), *sorted(libraries)]
    found = [path for path in own if not path.startswith(("/usr/lib/", "/usr/lib64/"))]
    return [path for path in (*found, *_SYSTEM) if Path(path).exists()]


def masked() -> list[str]:
    """Folders of installed packages below those: not for a program under test."""
    paths = {sysconfig.get_path(name, vars=_base()) for name in ("purelib", "platlib")}
    paths.add("/usr/lib/python3/dist-packages")
    return sorted(path for path in paths if Path(path).is_dir())


def _base() -> dict[str, str]:
    return {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}


def hidden(paths: list[str]) -> dict[str, list[str]]:
    """Folder that others may not enter -> the paths below that they need all the same."""
    found: dict[str, list[str]] = {}
    for path in paths:
        for folder in reversed(Path(path).parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                found.setdefault(str(folder), []).append(path)
                break
    return found
