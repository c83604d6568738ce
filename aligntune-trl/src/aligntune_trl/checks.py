"""Whether plain TRL can work in this process; imports nothing heavy to find out."""

from __future__ import annotations

import sys

__all__ = ["unusable"]


def unusable() -> str | None:
    """Why plain TRL cannot work here, or None."""
    if "unsloth" in sys.modules:
        return "unsloth was imported and has patched TRL; start a fresh process for plain TRL"
    return None
