"""A filter of system calls: what no program under test needs, and what would reach past its walls.

The filter is classic BPF, written here instruction by instruction, so that no library is needed. A
refused call fails with EPERM (or the error that programs expect), and the program goes on.
"""

from __future__ import annotations

import ctypes
import struct

from aligntune_rewards.sandbox.inside import linux

__all__ = ["available", "everyone", "install", "job", "visible"]

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER, _ARCH = 0, 4
_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NEW_NAMESPACES = 0x7E020000

# Name -> number on x86_64 and on aarch64; None where the machine has no such call.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    # Looking into other processes.
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    # Namespaces, mounts and everything for administrators.
    "setns": (308, 268), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "bpf": (321, 280), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "syslog": (103, 116), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "iopl": (172, None),
    "ioperm": (173, None), "personality": (135, 92), "fanotify_init": (300, 262),
    # What outlives a process, or holds memory that no limit counts.
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "shmget": (29, 194),
    "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "vmsplice": (278, 75),
    # Ways around the filter.
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "modify_ldt": (154, None),
}  # fmt: skip
# What the server needs to start a job, and the job must not have.
_WALLS: dict[str, tuple[int | None, int | None]] = {
    "unshare": (272, 97), "mount": (165, 40), "umount2": (166, 39),
}  # fmt: skip
# Where processes outside can be seen, these reach them.
_REACHING: dict[str, tuple[int | None, int | None]] = {
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "tkill": (200, 130), "setpriority": (141, 140),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30), "migrate_pages": (256, 238),
    "move_pages": (279, 239),
}  # fmt: skip
_CLONE, _CLONE3 = (56, 220), 435
_SOCKET, _FCNTL, _KILL_CALL, _TGKILL, _PRLIMIT = (
    (41, 198), (72, 25), (62, 129), (234, 131), (302, 261),
)  # fmt: skip
_SOCKETPAIR = (53, 199)
_OWNERS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: signals to whom one likes
_MMAP, _SHARED, _ANONYMOUS = (9, 222), 0x01, 0x20
_SETSOCKOPT, _SO_SNDBUF = (54, 208), 7
_IOCTL = (16, 29)
_IOCTLS = (0x8901, 0x8902, 0x5412, 0x541C)  # FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX


class _Filter:
    """A program under construction; while it runs, the accumulator holds the call's number."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []
        machine = linux.machine()
        self.column = 0 if machine == "x86_64" else 1
        self.add(_LOAD, _ARCH)
        self.add(_EQUAL, _ARCHES[machine], 1, 0)
        self.add(_RETURN, _KILL)
        self.add(_LOAD, _NUMBER)
        if machine == "x86_64":  # the x32 calls have numbers of their own
            self.add(_AT_LEAST, 0x40000000, 0, 1)
            self.add(_RETURN, _KILL)

    def add(self, code: int, value: int, true: int = 0, false: int = 0) -> None:
        self.code.append((code, true, false, value))

    def refuse(self, number: int | None, error: int = _EPERM) -> None:
        if number is not None:
            self.add(_EQUAL, number, 0, 1)
            self.add(_RETURN, _ERROR | error)

    def refuse_all(self, calls: dict[str, tuple[int | None, int | None]]) -> None:
        for numbers in calls.values():
            self.refuse(numbers[self.column])

    def among(
        self,
        call: tuple[int, int],
        argument: int,
        values: tuple[int, ...],
        *,
        allow: bool,
        error: int = _EPERM,
    ) -> None:
        """Allow or refuse a call when the low half of an argument is among the values."""
        same, other = (_ALLOW, _ERROR | error) if allow else (_ERROR | error, _ALLOW)
        self.add(_EQUAL, call[self.column], 0, len(values) + 3)
        self.add(_LOAD, 16 + 8 * argument)
        for index, value in enumerate(values):
            self.add(_EQUAL, value, len(values) - index, 0)
        self.add(_RETURN, other)
        self.add(_RETURN, same)

    def bits(self, call: tuple[int, int], mask: int) -> None:
        self.add(_EQUAL, call[self.column], 0, 4)
        self.add(_LOAD, 16)
        self.add(_ANY_BIT, mask, 0, 1)
        self.add(_RETURN, _ERROR | _EPERM)
        self.add(_RETURN, _ALLOW)

    def all_bits(self, call: tuple[int, int], argument: int, first: int, second: int) -> None:
        """Refuse a call when an argument has both bits."""
        self.add(_EQUAL, call[self.column], 0, 5)
        self.add(_LOAD, 16 + 8 * argument)
        self.add(_ANY_BIT, first, 0, 2)
        self.add(_ANY_BIT, second, 0, 1)
        self.add(_RETURN, _ERROR | _EPERM)
        self.add(_RETURN, _ALLOW)

    def text(self) -> bytes:
        self.add(_RETURN, _ALLOW)
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in self.code)


def available() -> bool:
    """Whether this machine's filter is known here and the kernel takes filters."""
    if linux.machine() not in _ARCHES:
        return False
    try:
        linux.prctl(21)
    except OSError:
        return False
    return True


def everyone(families: tuple[int, ...]) -> bytes:
    """What neither a job nor its server needs; `families` of sockets are allowed, if any."""
    made = _Filter()
    made.refuse_all(_CALLS)
    # Such memory stays when it is no longer mapped into the process that filled it.
    made.all_bits(_MMAP, 3, _SHARED, _ANONYMOUS)
    made.among(_SETSOCKOPT, 2, (_SO_SNDBUF,), allow=False)  # what a socket holds is not counted
    made.among(_IOCTL, 1, _IOCTLS, allow=False)
    made.among(_SOCKET, 0, families, allow=True, error=_EAFNOSUPPORT)
    made.among(_SOCKETPAIR, 0, (1,), allow=True, error=_EAFNOSUPPORT)
    return made.text()


def job() -> bytes:
    """What a job must not have: other namespaces and mounts."""
    made = _Filter()
    made.refuse_all(_WALLS)
    made.refuse(_CLONE3, _ENOSYS)  # its flags lie in memory; libraries then use clone
    made.bits(_CLONE, _NEW_NAMESPACES)
    return made.text()


def visible(own: int) -> bytes:
    """What reaches other processes, for a job that can see them: signals only to itself, `own`."""
    made = _Filter()
    made.refuse_all(_REACHING)
    made.among(_FCNTL, 1, _OWNERS, allow=False)
    made.among(_PRLIMIT, 0, (0,), allow=True)
    made.among(_KILL_CALL, 0, (own,), allow=True)
    made.among(_TGKILL, 0, (own,), allow=True)
    return made.text()


def install(program: bytes) -> None:
    """Filter this process's system calls, and its children's, in addition to earlier filters.

    `linux.forbid_new_privileges` must have been called.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    text = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    head = ctypes.create_string_buffer(text, len(text))
    linux.prctl(22, 2, ctypes.addressof(head))
