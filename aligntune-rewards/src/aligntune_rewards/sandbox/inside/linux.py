"""The system calls that Python does not offer: namespaces, mounts, landlock, seccomp, capabilities.

Everything here is called with constants; nothing reads the environment or imports beyond `ctypes`.
"""

from __future__ import annotations

import ctypes
import os
import struct

__all__ = [
    "drop_capabilities",
    "forbid_new_privileges",
    "landlock_version",
    "mount",
    "prctl",
    "restrict_files",
    "spawn",
    "syscall",
    "unmount",
    "unshare",
]

_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# The order of clone's arguments differs between machines; all but the first are zero here.
_CLONE = {"x86_64": 56, "aarch64": 220}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

NEW_NAMESPACE = 0x00020000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PID = 0x20000000
_SIGCHLD = 17

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 1, 2, 4, 32, 4096
MS_REC, MS_PRIVATE = 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47

_NO_CAPABILITIES = (
    ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0)),
    ctypes.create_string_buffer(struct.pack("=6I", 0, 0, 0, 0, 0, 0)),
)

# Landlock's rights to files, by the version that brought the last of them.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, list a folder
_WRITE = 1 << 1 | 1 << 14  # write to a file, truncate it
_OF_FILES = _READ & ~(1 << 3) | _WRITE | 1 << 15


def machine() -> str:
    """The architecture, as `uname -m` says it."""
    return os.uname().machine


def syscall(number: int, *arguments: object) -> int:
    """Call the kernel; raises OSError with its error number."""
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _checked(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def spawn(flags: int) -> int:
    """Fork into new namespaces: 0 in the child, its process id in the parent.

    Only for a process with one thread: Python is not told, as it is by `os.fork`.
    """
    zero = ctypes.c_long(0)
    return syscall(_CLONE[machine()], ctypes.c_long(flags | _SIGCHLD), zero, zero, zero, zero)


def unshare(flags: int) -> None:
    """Leave the namespaces that the flags name for new ones."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, or bind a path to another."""
    done = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _checked(done, f"mount {kind or 'bind'} on {target}")


def unmount(target: str) -> None:
    """Take a mount away; whoever still uses it keeps it until then."""
    _checked(_libc.umount2(target.encode(), ctypes.c_int(2)), f"unmount {target}")


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    """Change this process or thread; gives what the kernel answers."""
    result: int = _libc.prctl(
        ctypes.c_int(option),
        ctypes.c_ulong(value),
        ctypes.c_ulong(third),
        ctypes.c_ulong(0),
        ctypes.c_ulong(0),
    )
    _checked(result, f"prctl {option}")
    return result


def forbid_new_privileges() -> None:
    """Programs that are setuid, or have file capabilities, give nothing from here on."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every capability for good; `forbid_new_privileges` must have been called."""
    prctl(PR_CAP_AMBIENT, 4)
    syscall(_CAPSET[machine()], *_NO_CAPABILITIES)


def landlock_version() -> int:
    """Landlock's version in this kernel, 0 where there is none."""
    try:
        return syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def restrict_files(readable: list[str], writable: list[str]) -> None:
    """Allow this process and its children these paths and nothing else (landlock).

    A newer kernel also refuses TCP, abstract sockets and signals to processes outside. Paths that
    do not exist are left out; `forbid_new_privileges` must have been called.
    """
    version = landlock_version()
    if version < 1:
        raise OSError("this kernel has no landlock")
    every = _FILE_RIGHTS.get(version, (1 << 16) - 1)
    tcp = 3 if version >= 4 else 0
    scoped = 3 if version >= 6 else 0
    sizes = struct.pack("=QQQ", every, tcp, scoped)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = syscall(
        _LANDLOCK_CREATE,
        ctypes.create_string_buffer(sizes, 24),
        ctypes.c_size_t(size),
        ctypes.c_uint32(0),
    )
    for path in readable:
        _allow(ruleset, path, _READ & every)
    for path in writable:
        _allow(ruleset, path, every)
    syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        rights &= _OF_FILES
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place), 12)
    try:
        syscall(_LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint32(0))
    finally:
        os.close(place)
