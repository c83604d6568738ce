"""What the other processes of a distributed run have, where rewards must look at all of it.

Nothing is imported: without torch, or in a run of one process, this process is all there is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeVar

__all__ = ["gathered", "world"]

T = TypeVar("T")


def world() -> Any:
    """`torch.distributed`, in a run of several processes; else None."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.distributed.is_available():
        return None
    distributed = torch.distributed
    several = distributed.is_initialized() and distributed.get_world_size() > 1
    return distributed if several else None


def gathered(items: Sequence[T]) -> tuple[list[T], slice]:
    """The items of all processes in the order of their ranks, and where those of this one are.

    Every process must call it; the items are pickled.
    """
    distributed = world()
    if distributed is None:
        return list(items), slice(0, len(items))
    found: list[list[T]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(found, list(items))
    start = sum(len(each) for each in found[: distributed.get_rank()])
    return [item for each in found for item in each], slice(start, start + len(items))
