"""Packets with descriptors on a Unix socket."""

from __future__ import annotations

import array
import json
import socket
from typing import Any

__all__ = ["receive", "send"]

_SIZE = array.array("i").itemsize
_MOST = 8  # descriptors in one packet


def receive(end: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next packet and its descriptors; None at the end."""
    text, ancillary, _, _ = end.recvmsg(1 << 16, socket.CMSG_SPACE(_MOST * _SIZE))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % _SIZE])
    return (json.loads(text) if text else None), list(descriptors)


def send(end: socket.socket, message: dict[str, Any], descriptors: list[int]) -> None:
    """Send one packet; the descriptors stay open here."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    end.sendmsg([json.dumps(message).encode()], rights if descriptors else [])
