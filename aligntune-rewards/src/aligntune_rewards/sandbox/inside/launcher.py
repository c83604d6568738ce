"""Run by root between the caller and a server: shows Python to everyone, then gives up root.

Folders such as `/root` may be closed to others while Python lies in them. They are replaced by an
empty folder with nothing but Python in it, for this process and its children only.
"""

from __future__ import annotations

import os

from aligntune_rewards.sandbox.inside import linux

__all__ = ["launch"]

_SCRATCH = "/tmp"


def launch(shown: dict[str, list[str]], user: int | None, command: list[str]) -> None:
    """Show the paths below each closed folder, become the user, and become the command."""
    if shown:
        linux.unshare(linux.NEW_NAMESPACE)
        linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
        for folder, paths in shown.items():
            _replace(folder, paths)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    os.execv(command[0], command)


def _replace(folder: str, paths: list[str]) -> None:
    linux.mount("none", _SCRATCH, "tmpfs", options="mode=755")
    for index, path in enumerate(paths):
        held = f"{_SCRATCH}/{index}"
        _like(path, held)
        linux.mount(path, held, flags=linux.MS_BIND)
    linux.mount("none", folder, "tmpfs", options="mode=755")
    for index, path in enumerate(paths):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _like(f"{_SCRATCH}/{index}", path)
        linux.mount(f"{_SCRATCH}/{index}", path, flags=linux.MS_BIND)
    linux.unmount(_SCRATCH)


def _like(path: str, place: str) -> None:
    """Make an empty folder or file to mount a folder or file on."""
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
