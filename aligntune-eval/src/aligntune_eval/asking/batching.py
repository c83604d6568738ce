"""Groups rows of similar length, so that little of a batch is padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["batches"]


def batches(
    lengths: Sequence[int], batch_size: int, max_tokens: int | None = None
) -> list[list[int]]:
    """Indices in batches, the longest first: what does not fit into memory fails at once.

    Args:
        lengths: tokens of each row.
        batch_size: most rows in a batch.
        max_tokens: most tokens in a batch, padding included; a longer row is a batch of its own.
    """
    made: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        last = made[-1] if made else None
        if (
            last is not None
            and len(last) < batch_size
            and (max_tokens is None or (len(last) + 1) * lengths[last[0]] <= max_tokens)
        ):
            last.append(index)
        else:
            made.append([index])
    return made
