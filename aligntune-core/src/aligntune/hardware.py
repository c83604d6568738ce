"""What a run finds on this machine; the only place that asks torch about devices."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Hardware"]


@dataclass(frozen=True)
class Hardware:
    """The device that a run uses: its kind (`cpu`, `cuda`, `mps`), name, count and bf16 support.

    `bf16` on a CPU is False: most CPUs emulate it, slowly, and an unset precision must not change
    the numbers of a run from one CPU to the next.
    """

    device: str = "cpu"
    name: str = "CPU"
    count: int = 1
    bf16: bool = False

    @classmethod
    def detect(cls) -> Hardware:
        """Ask torch; without torch there is only the CPU."""
        try:
            import torch
        except ModuleNotFoundError:
            return cls()
        if torch.cuda.is_available():
            name, count = torch.cuda.get_device_name(0), torch.cuda.device_count()
            return cls("cuda", name, count, torch.cuda.is_bf16_supported())
        if torch.backends.mps.is_available():
            return cls("mps", "Apple GPU", 1, True)
        return cls()

    def __str__(self) -> str:
        return self.name if self.count == 1 else f"{self.count} x {self.name}"
