"""How much a program under test may use."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What one job may use before it is ended.

    Args:
        seconds: Wall time, from when the job starts.
        memory_mb: Memory of all its processes together, in MiB; the address space of each is
            limited to the same.
        processes: Processes and threads at the same time.
        output_bytes: Bytes on stdout and stderr and in returned values, together.
        disk_mb: MiB of files that it writes; they are in memory and vanish with it.

    Raises:
        ValueError: if a limit is too small to run Python at all, or no number.
    """

    seconds: float = 5.0
    memory_mb: int = 512
    processes: int = 32
    output_bytes: int = 1 << 20
    disk_mb: int = 64

    def __post_init__(self) -> None:
        least = {
            "seconds": 0.01,
            "memory_mb": 64,
            "processes": 1,
            "output_bytes": 1,
            "disk_mb": 1,
        }
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = (int, float) if field.name == "seconds" else (int,)
            if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
                what = "a number" if field.name == "seconds" else "a whole number"
                raise ValueError(f"{field.name} must be {what}, not {value!r}")
            if value < least[field.name]:
                raise ValueError(
                    f"{field.name} must be at least {least[field.name]}, not {value!r}"
                )
