"""Where a model is put: a torch device that is there."""

from __future__ import annotations

from aligntune.errors import EvaluationError

__all__ = ["device_of"]


def device_of(wanted: str | None) -> str:
    """The device that is wanted; unset, the first GPU if there is one, else the CPU.

    Raises:
        EvaluationError: if there is no such device here; names those there are.
    """
    import torch

    here = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        here.append("mps")
    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    wanted = str(wanted)  # a torch.device too
    if wanted not in here and not (wanted == "cuda" and len(here) > 1):
        raise EvaluationError(f"there is no device {wanted!r} here; there are: {', '.join(here)}")
    return wanted
