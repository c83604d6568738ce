"""Whether Unsloth can work in this process; imports nothing heavy to find out."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

from packaging.version import Version

__all__ = ["has_gpu", "unusable"]

_PATCHED = ("trl", "transformers", "peft")
_TRAINS_ON_CPU = Version("2026.10.9")


def has_gpu() -> bool:
    """Whether there is an NVIDIA, AMD or Intel GPU that this process may use."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return False
    return any(Path(path).exists() for path in ("/dev/nvidia0", "/dev/kfd", "/dev/dxg"))


def unusable() -> str | None:
    """Why Unsloth cannot work here, or None."""
    early = [name for name in _PATCHED if name in sys.modules]
    if early and "unsloth" not in sys.modules:
        return (
            f"{early[0]} was imported before unsloth, which patches it on import; start a fresh "
            "process, or `import unsloth` first"
        )
    version = Version(importlib.metadata.version("unsloth"))
    if version < _TRAINS_ON_CPU and not has_gpu():
        return f"unsloth {version} needs a GPU; {_TRAINS_ON_CPU} and newer train on a CPU too"
    return None
