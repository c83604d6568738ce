"""TRL's experimental trainers: imported without its warning, which our own log line replaces."""

from __future__ import annotations

import importlib
import logging
import warnings
from types import ModuleType

__all__ = ["experimental"]

logger = logging.getLogger("aligntune")


def experimental(name: str, *, tell: bool = True) -> ModuleType:
    """`trl.experimental.NAME`, once the backend is prepared; Unsloth patches it on import.

    TRL warns whoever imports it that it may change with any release. Here the releases that may be
    installed are those that were tested, so the warning is kept from the screen, and no setting of
    the process is changed for it. `tell` logs a line in its place.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are importing from 'trl.experimental'")
        found = importlib.import_module(f"trl.experimental.{name}")
    if tell:
        logger.info("trl.experimental.%s is experimental in TRL: releases may change it", name)
    return found
