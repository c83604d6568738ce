"""The two kinds of walls around a job, and how a process ends up within them.

`start` returns the process to wait for, and a descriptor that carries word of it: nothing, its wait
status in digits, or why the walls could not be built.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn

from aligntune_rewards.sandbox.inside import check, job, linux, packets, processes, seccomp

__all__ = ["FIRST", "Flat", "Nested"]

FIRST = 6  # descriptors below are the job's own, and occupied in the server
_FILES = 128
_DISK = 64 << 20


class Nested:
    """Each job in user, pid, mount and ipc namespaces of its own, inside those of bubblewrap.

    They are made before a job comes, with a process in there that waits to become it.
    """

    apart = True
    look_every = 0.02  # seconds
    flags = linux.NEW_USER | linux.NEW_PID | linux.NEW_NAMESPACE | linux.NEW_IPC

    def __init__(self, settings: dict[str, Any]) -> None:
        self.user, self.group = os.getuid(), os.getgid()
        linux.forbid_new_privileges()
        seccomp.install(seccomp.everyone(tuple(settings["families"])))
        self.filter = seccomp.job()
        self.ready: tuple[int, int, socket.socket] | None = None

    def prepare(self) -> None:
        """Make the walls for the next job."""
        if self.ready is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            read, write = os.pipe()
            first = linux.spawn(self.flags)
            if first == 0:
                ours.close()
                self._inside(theirs, write)
            os.close(write)
            theirs.close()
            self.ready = first, read, ours

    def start(self, request: dict[str, Any], descriptors: list[int]) -> tuple[int, int]:
        """Hand the job to the process that waits."""
        while True:
            known = self.ready is not None
            self.prepare()
            assert self.ready is not None
            (first, read, waiting), self.ready = self.ready, None
            try:
                with waiting:
                    packets.send(waiting, request, descriptors)
            except OSError:  # it has ended; one that was made for this job has said why
                if known:
                    os.kill(first, signal.SIGKILL)
                    os.waitpid(first, 0)
                    os.close(read)
                    continue
            return first, read

    def _inside(self, end: socket.socket, said: int) -> NoReturn:
        """The first process of the new namespaces, which reaps what the job leaves."""
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.setsid()
            self._build()
            child = os.fork()
            if child == 0:
                request, descriptors = packets.receive(end)
                if request is not None:
                    become_job(self, request, [*descriptors, said])
            else:
                end.close()
                os.write(said, b"%d" % _reap_until(child))
        except OSError as error:
            os.write(said, str(error).encode())
        finally:
            os._exit(0)

    def _build(self) -> None:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{self.user} {self.user} 1"),
            ("gid_map", f"{self.group} {self.group} 1"),
        ):
            descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(descriptor, text.encode())
            os.close(descriptor)
        quiet = linux.MS_NOSUID | linux.MS_NODEV
        linux.mount("tmpfs", "/tmp", "tmpfs", quiet, _folder(_DISK))
        os.mkdir("/tmp/own", 0o700)
        os.mkdir("/tmp/shared", 0o700)
        linux.mount("/tmp/shared", "/dev/shm", flags=linux.MS_BIND)
        linux.mount("/tmp/own", "/tmp", flags=linux.MS_BIND)
        linux.mount("tmpfs", "/proc", "tmpfs", quiet | linux.MS_RDONLY, "size=4k,nr_inodes=2")
        os.chdir("/tmp")

    def confine(self, request: dict[str, Any]) -> None:
        """In the job's process, just before the program."""
        if request["disk"] != _DISK:
            flags = linux.MS_REMOUNT | linux.MS_NOSUID | linux.MS_NODEV
            linux.mount("tmpfs", "/tmp", "tmpfs", flags, _folder(request["disk"]))
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _set_limits(request, request["processes"] + 1)
        linux.forbid_new_privileges()
        linux.drop_capabilities()
        seccomp.install(self.filter)

    def sweep(self) -> None:
        """Nothing to do: everything has ended with the namespaces' first process."""

    def abandon(self) -> None:
        """Nothing to do: its files were in memory."""


def _folder(size: int) -> str:
    return f"size={size},nr_inodes=16384,mode=1777"


def _reap_until(child: int) -> int:
    while True:
        ended, status = os.wait()
        if ended == child:
            return status


class Flat:
    """Each job beside the server: its own user where possible, landlock and seccomp if asked."""

    apart = False
    look_every = 0.1  # there are all the processes of the machine to look through

    def __init__(self, settings: dict[str, Any]) -> None:
        self.readable: list[str] | None = settings["readable"]
        self.user: int | None = settings["user"]
        self.folder = ""
        self.filters: tuple[bytes, ...] = ()
        if settings["filters"] and seccomp.available():
            self.filters = (seccomp.everyone(tuple(settings["families"])), seccomp.job())
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        linux.prctl(linux.PR_SET_DUMPABLE, 0)  # a job of the same user may not look into this

    def prepare(self) -> None:
        """Nothing to do: there is nothing to make before a job comes."""

    def start(self, request: dict[str, Any], descriptors: list[int]) -> tuple[int, int]:
        """Fork the job."""
        read, write = os.pipe()
        self.folder = request["folder"]
        child = os.fork()
        if child == 0:
            try:
                become_job(self, request, [*descriptors, write])
            finally:
                os._exit(1)
        os.close(write)
        return child, read

    def confine(self, request: dict[str, Any]) -> None:
        """In the job's process, just before the program."""
        os.chdir(request["folder"])
        if self.user is not None:
            os.setgroups([])
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Where the user is not the job's alone, the limit counts all that the user runs.
        others = processes.threads_of(os.getuid()) if self.user is None else 0
        _set_limits(request, request["processes"] + others)
        linux.forbid_new_privileges()
        if self.readable is not None:
            linux.restrict_files(self.readable, [request["folder"], "/dev/null"])
        if self.filters:
            for program in (*self.filters, seccomp.visible(os.getpid())):
                seccomp.install(program)

    def abandon(self) -> None:
        """End the job and remove its folder; the one who made it has gone."""
        self.sweep()
        if self.folder:
            processes.remove(self.folder)

    def sweep(self) -> None:
        """End whatever the job has left: everything that is a child of this subreaper now."""
        while True:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            if self.user is not None:
                processes.kill_all_of(self.user)
            for child in processes.children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.001)


def _set_limits(request: dict[str, Any], count: int) -> None:
    seconds = int(request["seconds"]) + 2
    for kind, value in (
        (resource.RLIMIT_CORE, 1),  # unlike 0, it also keeps a crash from the host's crash handler
        (resource.RLIMIT_AS, request["memory"]),
        (resource.RLIMIT_FSIZE, request["disk"]),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CPU, seconds * max(1, os.cpu_count() or 1)),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NPROC, count),
    ):
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def become_job(walls: Nested | Flat, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Turn this process into the job, or into its tests, with the program in a child beside it.

    The descriptors of the tests, which know what is expected, are never those of the program.
    """
    program, stdin, stdout, stderr, results, *tests, said = descriptors
    parts = [stdin, stdout, stderr, results, program, said]
    if tests:
        ours, theirs = (end.detach() for end in socket.socketpair())
        if os.fork():
            quiet = os.open("/dev/null", os.O_RDWR)
            parts = [quiet, quiet, quiet, results, tests[0], ours, said]
            _become(walls, request, parts, lambda: check.main(4, 5, 3))
        parts[3] = theirs
    _become(walls, request, parts, lambda: job.main(4))


def _become(
    walls: Nested | Flat, request: dict[str, Any], descriptors: list[int], step: Callable[[], int]
) -> NoReturn:
    """Run a step within the walls, with these descriptors from 0 on and no others, and end.

    The last descriptor takes word of walls that cannot be built; it is closed before the step.
    """
    status, last = 1, len(descriptors) - 1
    try:
        for target, source in enumerate(descriptors):
            assert source >= FIRST
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
