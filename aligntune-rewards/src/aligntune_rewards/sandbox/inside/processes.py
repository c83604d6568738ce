"""What `/proc` says about the processes that the server can see."""

from __future__ import annotations

import contextlib
import errno
import os
import signal

__all__ = ["children", "kill_all_of", "memory_below", "remove", "resident", "size_of", "threads_of"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


def _table(user: int | None = None) -> list[tuple[int, int, int]]:
    """Process, its parent and its number of threads, of all processes there are (of a user)."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or (user is not None and _owner(name) != user):
            continue
        if text := _read(f"/proc/{name}/stat"):
            after = text.rpartition(")")[2].split()
            found.append((int(name), int(after[1]), int(after[17])))
    return found


def _owner(name: str) -> int:
    try:
        return os.stat(f"/proc/{name}").st_uid
    except OSError:
        return -1


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def children() -> list[int]:
    """The children of this process."""
    own = os.getpid()
    return [pid for pid, parent, _ in _table() if parent == own]


def threads_of(user: int) -> int:
    """How many threads a user has, everywhere."""
    return sum(count for _, _, count in _table(user))


def memory_below(base: int) -> int:
    """Bytes of memory of all descendants of this process, each without `base` of them."""
    own = os.getpid()
    parents = {pid: parent for pid, parent, _ in _table()}
    total = 0
    for pid in parents:
        above = pid
        while above != own and above in parents:
            above = parents[above]
        if above == own != pid:
            total += max(0, resident(pid) - base)
    return total


def resident(pid: int) -> int:
    """Bytes of memory of a process, shared ones included; 0 if it has ended."""
    pages = _pages(f"/proc/{pid}")
    if not pages:  # its first thread may have ended before the others, which still have it all
        with contextlib.suppress(OSError):
            tasks = os.listdir(f"/proc/{pid}/task")
            pages = max((_pages(f"/proc/{pid}/task/{task}") for task in tasks), default=0)
    return pages * _PAGE


def _pages(place: str) -> int:
    text = _read(f"{place}/statm")
    return int(text.split()[1]) if text else 0


def size_of(folder: str) -> int:
    """Bytes that the files in a folder take, where the file system has no limit of its own."""
    total, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # whoever digs that deep has something to hide
                return 1 << 62
    return total


def remove(folder: str) -> None:
    """Remove a folder with all that is in it, however deep; nobody writes there any more."""
    places = [folder]
    for place in places:
        with contextlib.suppress(OSError):
            os.chmod(place, 0o700)  # whoever made it may have closed it
            for name in os.listdir(place):
                _clear(f"{place}/{name}", folder, places)
    for place in reversed(places):
        with contextlib.suppress(OSError):
            os.rmdir(place)


def _clear(path: str, folder: str, places: list[str]) -> None:
    """Remove a file, or move a folder to where its path is short, and note it."""
    with contextlib.suppress(OSError):
        if os.path.islink(path) or not os.path.isdir(path):
            os.unlink(path)
            return
        os.chmod(path, 0o700)
        flat = f"{folder}/{os.urandom(12).hex()}"
        os.rename(path, flat)
        places.append(flat)


def kill_all_of(user: int) -> None:
    """Kill every process of a user that nobody else is."""
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
