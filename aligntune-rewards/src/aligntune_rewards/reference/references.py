"""The reference texts of a row."""

from __future__ import annotations

from typing import Any

__all__ = ["reference_texts"]


def reference_texts(reference: Any) -> list[str]:
    """The reference texts of a row: those of a list, or the one text; blank ones do not count.

    Raises:
        TypeError: if it is neither a text nor a list of texts.
    """
    if reference is None:
        return []
    given = list(reference) if isinstance(reference, list | tuple) else [reference]
    for each in given:
        if not isinstance(each, str):
            raise TypeError(
                f"the reference is {_short(reference)}; it is a text or a list of texts"
            )
    return [each for each in given if each.strip()]


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
