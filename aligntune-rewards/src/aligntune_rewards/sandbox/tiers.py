"""Which isolation this machine gives, found out once per process by trying it."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from typing import get_args

from aligntune_rewards.sandbox.errors import SandboxError
from aligntune_rewards.sandbox.launch import Tier
from aligntune_rewards.sandbox.limits import Limits
from aligntune_rewards.sandbox.process import Server
from aligntune_rewards.sandbox.running import ServerHungError, ServerLostError

__all__ = ["TIERS", "Found", "find", "probe", "require_linux"]

TIERS: tuple[Tier, ...] = get_args(Tier)
_PROGRAM = b'{"files": {}, "source": "import hashlib", "mode": "program", "calls": [], "nonce": ""}'


@dataclass(frozen=True)
class Found:
    """A tier, whether it can be had here, and why not, or why jobs cannot start warm."""

    tier: Tier
    works: bool
    warm: bool
    reason: str


def find() -> tuple[Found, tuple[Found, ...]]:
    """The best tier that works here, and what was found of the better ones.

    Raises:
        SandboxError: where not even the weakest tier works.
    """
    missing: list[Found] = []
    for tier in TIERS:
        found = probe(tier)
        if found.works:
            return found, tuple(missing)
        missing.append(found)
    raise SandboxError("no isolation works here: " + "; ".join(m.reason for m in missing))


def require_linux() -> None:
    """Refuse anything but Linux.

    Raises:
        SandboxError: there.
    """
    if sys.platform != "linux":
        raise SandboxError(
            f"the sandbox needs Linux, this is {platform.system()}; run it in a Linux container or "
            "virtual machine (Docker Desktop, WSL 2), or use a reward that runs no code"
        )


@functools.cache
def probe(tier: Tier) -> Found:
    """Try a tier with a small program."""
    if reason := _missing(tier):
        return Found(tier, works=False, warm=False, reason=reason)
    reason = _try(tier, nested=tier == "bwrap")
    if not reason:
        return Found(tier, works=True, warm=True, reason="")
    if tier == "bwrap" and not _try(tier, nested=False):
        return Found(tier, works=True, warm=False, reason=reason)
    return Found(tier, works=False, warm=False, reason=reason)


def _missing(tier: Tier) -> str:
    from aligntune_rewards.sandbox.inside import linux, seccomp

    if tier == "bwrap" and shutil.which("bwrap") is None:
        return (
            "bubblewrap is not installed (Debian and Ubuntu: `apt-get install bubblewrap`; "
            "Fedora: `dnf install bubblewrap`)"
        )
    if tier == "landlock+seccomp+rlimits":
        if linux.landlock_version() < 1:
            return "this kernel has no landlock (it needs Linux 5.13, and `landlock` in its `lsm=`)"
        if not seccomp.available():
            return f"no filter of system calls for {os.uname().machine} is known here"
    return ""


def _try(tier: Tier, *, nested: bool) -> str:
    """Why the tier does not work, or nothing if it does."""
    try:
        server = Server(tier, nested=nested)
        try:
            ended = server.run(_PROGRAM, b"", Limits(seconds=20.0))
        finally:
            server.stop()
    except (SandboxError, ServerHungError, ServerLostError) as error:
        return str(error)
    if ended.reason or ended.exit_code != 0:
        said = ended.written[1].decode(errors="replace").strip().splitlines()
        return f"{tier}: {ended.reason or (said[-1] if said else ended.exit_code)}"
    return ""
