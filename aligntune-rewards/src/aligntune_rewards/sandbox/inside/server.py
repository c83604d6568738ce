"""The trusted parent of the jobs: starts each in walls of its own, watches it, and sweeps up.

It answers one request at a time on descriptor 0, a socket of packets: a JSON object of limits with
the descriptors of the job (program, stdin, stdout, stderr, results). It never reads a program, so
that a job, which starts as its copy, finds nothing of an earlier one in its memory.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from aligntune_rewards.sandbox.inside import check, job, linux, seccomp

__all__ = ["serve"]

_FILES = 128
_FIRST = 6  # descriptors below are the job's own, and occupied in this process
_PAGE = os.sysconf("SC_PAGE_SIZE")


def serve(settings: dict[str, Any]) -> None:
    """Answer requests until the other end of the socket closes."""
    control = socket.socket(fileno=0)
    while os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC) < _FIRST:
        pass
    os.environ.clear()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    walls = _Nested(settings) if settings["nested"] else _Flat(settings)
    signal.signal(signal.SIGTERM, lambda *_: (walls.sweep(), os._exit(0)))
    if settings["die"]:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)
    gc.collect()
    gc.freeze()
    control.send(b'{"ready": true}')
    while True:
        request, descriptors = _receive(control)
        if request is None:
            return
        answer = _Job(walls, request, descriptors, control).run()
        control.send(json.dumps(answer).encode())


def _receive(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    size = array.array("i").itemsize
    text, ancillary, _, _ = control.recvmsg(1 << 16, socket.CMSG_SPACE(8 * size))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % size])
    return (json.loads(text) if text else None), list(descriptors)


class _Nested:
    """Each job in user, pid, mount and ipc namespaces of its own, inside those of bubblewrap."""

    flags = linux.NEW_USER | linux.NEW_PID | linux.NEW_NAMESPACE | linux.NEW_IPC
    apart = True
    look_every = 0.02  # seconds

    def __init__(self, settings: dict[str, Any]) -> None:
        self.user, self.group = os.getuid(), os.getgid()
        linux.forbid_new_privileges()
        seccomp.install(seccomp.everyone(tuple(settings["families"])))
        self.filter = seccomp.job()

    def enter(self, request: dict[str, Any]) -> None:
        """In the first process of the new namespaces, which reaps what the job leaves."""
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{self.user} {self.user} 1"),
            ("gid_map", f"{self.group} {self.group} 1"),
        ):
            descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(descriptor, text.encode())
            os.close(descriptor)
        quiet = linux.MS_NOSUID | linux.MS_NODEV
        options = f"size={request['disk']},nr_inodes=16384,mode=1777"
        linux.mount("tmpfs", "/tmp", "tmpfs", quiet, options)
        os.mkdir("/tmp/own", 0o700)
        os.mkdir("/tmp/shared", 0o700)
        linux.mount("/tmp/shared", "/dev/shm", flags=linux.MS_BIND)
        linux.mount("/tmp/own", "/tmp", flags=linux.MS_BIND)
        linux.mount("tmpfs", "/proc", "tmpfs", quiet | linux.MS_RDONLY, "size=4k,nr_inodes=2")
        os.chdir("/tmp")

    def confine(self, request: dict[str, Any]) -> None:
        """In the job's process, just before the program."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _set_limits(request, request["processes"] + 1)
        linux.forbid_new_privileges()
        linux.drop_capabilities()
        seccomp.install(self.filter)

    def start(self, request: dict[str, Any], descriptors: list[int]) -> int:
        first = linux.spawn(self.flags)
        if first:
            return first
        said = descriptors[-1]
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.setsid()
            self.enter(request)
            child = _fork_job(self, request, descriptors)
            os.write(said, b"%d" % _reap_until(child))
        except OSError as error:
            os.write(said, str(error).encode())
        finally:
            os._exit(0)

    def sweep(self) -> None:
        """Nothing to do: everything has ended with the namespaces' first process."""


def _reap_until(child: int) -> int:
    while True:
        ended, status = os.wait()
        if ended == child:
            return status


def _fork_job(walls: Any, request: dict[str, Any], descriptors: list[int]) -> int:
    """Start the job; tests run in a process beside the program, and their end counts.

    The descriptors of the tests, which know what is expected, are never those of the program.
    """
    program, stdin, stdout, stderr, results, *tests, said = descriptors
    if not tests:
        parts = [stdin, stdout, stderr, results, program, said]
        return _fork(walls, request, parts, lambda: job.main(4))
    ours, theirs = (end.detach() for end in socket.socketpair())
    _fork(walls, request, [stdin, stdout, stderr, theirs, program, said], lambda: job.main(4))
    quiet = os.open("/dev/null", os.O_RDWR)
    parts = [quiet, quiet, quiet, results, tests[0], ours, said]
    child = _fork(walls, request, parts, lambda: check.main(4, 5, 3))
    for descriptor in (ours, theirs, quiet):
        os.close(descriptor)
    return child


def _fork(
    walls: Any, request: dict[str, Any], descriptors: list[int], step: Callable[[], int]
) -> int:
    """Run a step within the walls, with these descriptors from 0 on and no others.

    The last descriptor takes word of walls that cannot be built; it is closed before the step.
    """
    child = os.fork()
    if child:
        return child
    status, last = 1, len(descriptors) - 1
    try:
        for target, source in enumerate(descriptors):
            assert source >= _FIRST
            os.dup2(source, target)
        os.closerange(last + 1, 256)
        os.setsid()
        try:
            walls.confine(request)
        except Exception as error:
            os.write(last, f"{error} ".encode())
            raise
        os.close(last)
        status = step()
    finally:  # nothing may climb back into the server's loop
        os._exit(status)


def _set_limits(request: dict[str, Any], processes: int) -> None:
    seconds = int(request["seconds"]) + 2
    for kind, value in (
        (resource.RLIMIT_CORE, 1),  # unlike 0, it also keeps a crash from the host's crash handler
        (resource.RLIMIT_AS, request["memory"]),
        (resource.RLIMIT_FSIZE, request["disk"]),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CPU, seconds * max(1, os.cpu_count() or 1)),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NPROC, processes),
    ):
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


class _Flat:
    """Each job beside the server: its own user where possible, landlock and seccomp if asked."""

    apart = False
    look_every = 0.1  # there are all the processes of the machine to look through

    def __init__(self, settings: dict[str, Any]) -> None:
        self.readable: list[str] | None = settings["readable"]
        self.user: int | None = settings["user"]
        self.filters: tuple[bytes, ...] = ()
        if settings["filters"] and seccomp.available():
            self.filters = (seccomp.everyone(tuple(settings["families"])), seccomp.job())
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        linux.prctl(linux.PR_SET_DUMPABLE, 0)  # a job of the same user may not look into this

    def start(self, request: dict[str, Any], descriptors: list[int]) -> int:
        return _fork_job(self, request, descriptors)

    def confine(self, request: dict[str, Any]) -> None:
        os.chdir(request["folder"])
        if self.user is not None:
            os.setgroups([])
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Where the user is not the job's alone, the limit counts all that the user runs.
        others = _processes_of(os.getuid()) if self.user is None else 0
        _set_limits(request, request["processes"] + others)
        linux.forbid_new_privileges()
        if self.readable is not None:
            linux.restrict_files(self.readable, [request["folder"], "/dev/null"])
        if self.filters:
            for program in (*self.filters, seccomp.visible(os.getpid())):
                seccomp.install(program)

    def sweep(self) -> None:
        """End whatever the job has left: everything that is a child of this subreaper now."""
        while True:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            if self.user is not None:
                _kill_all_of(self.user)
            for child in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.001)


def _kill_all_of(user: int) -> None:
    """Kill every process of a user that nobody else is."""
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _children() -> list[int]:
    own = os.getpid()
    return [pid for pid, parent, _ in _table() if parent == own]


def _processes_of(user: int) -> int:
    return sum(count for _, _, count in _table(user))


def _owner(name: str) -> int:
    try:
        return os.stat(f"/proc/{name}").st_uid
    except OSError:
        return -1


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


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


class _Job:
    """One job from its request to the answer; when `run` returns, nothing of it is left."""

    def __init__(
        self, walls: Any, request: dict[str, Any], descriptors: list[int], control: socket.socket
    ) -> None:
        self.walls, self.request, self.descriptors = walls, request, descriptors
        self.control = control
        self.reason = ""
        self.base = _resident(os.getpid())

    def run(self) -> dict[str, Any]:
        read, write = os.pipe()
        self.descriptors.append(write)
        try:
            child = self.walls.start(self.request, self.descriptors)
        except OSError as error:
            self.reason, child = f"cannot start: {error}", 0
        for descriptor in self.descriptors:
            os.close(descriptor)
        status: int | None = None
        if child:
            status = self._watch(child)
            self.walls.sweep()
            os.set_blocking(read, False)
            with contextlib.suppress(BlockingIOError):
                status = self._said(os.read(read, 1000), status)
        os.close(read)
        code = None if status is None or self.reason else os.waitstatus_to_exitcode(status)
        return {"exit_code": code, "reason": self.reason}

    def _said(self, text: bytes, status: int) -> int:
        """The job's status, from the first process of its namespaces; it has the kernel's word."""
        if self.reason or (self.walls.apart and not text):
            return signal.SIGKILL
        if text and not text.isdigit():
            self.reason = f"cannot start: {text.decode()}"
        return int(text) if text.isdigit() else status

    def _watch(self, child: int) -> int:
        watched = os.pidfd_open(child)
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        deadline = time.monotonic() + self.request["seconds"]
        while True:
            left = deadline - time.monotonic()
            ready = dict(poll.poll(max(0.0, min(left, self.walls.look_every)) * 1000))
            if watched in ready:
                break
            if self.control.fileno() in ready:
                self._heed()
            elif left <= 0:
                self.reason = "timeout"
            elif self._memory() > self.request["memory"]:
                self.reason = "memory"
            elif not self.walls.apart and _size(self.request["folder"]) > self.request["disk"]:
                self.reason = "disk"
            if self.reason:
                os.kill(child, signal.SIGKILL)
                break
        os.close(watched)
        return os.waitpid(child, 0)[1]

    def _heed(self) -> None:
        """The one who asked wants the job to end, or has gone."""
        message, _ = _receive(self.control)
        if message is None:
            self.reason = "gone"
        else:
            self.reason = str(message["stop"])

    def _memory(self) -> int:
        """Memory of all processes of the job, without what they share with this server."""
        own = os.getpid()
        parents = {pid: parent for pid, parent, _ in _table()}
        total = 0
        for pid in parents:
            above = pid
            while above != own and above in parents:
                above = parents[above]
            if above == own != pid:
                total += max(0, _resident(pid) - self.base)
        return total


def _size(folder: str) -> int:
    """Bytes that the files in a folder take; where a file system has no limit of its own."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(f"{place}/{name}").st_blocks * 512
    return total


def _resident(pid: int) -> int:
    text = _read(f"/proc/{pid}/statm")
    return int(text.split()[1]) * _PAGE if text else 0
