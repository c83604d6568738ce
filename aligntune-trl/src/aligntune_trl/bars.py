"""The progress bars of the libraries underneath: on a terminal, and where something takes long."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["library_bars"]


@contextmanager
def library_bars(*, shown: bool) -> Iterator[None]:
    """Let datasets and transformers show bars inside, or not; their settings are restored.

    Bars are shown on a terminal alone: in a log file each of their updates is a line.
    """
    import datasets
    from transformers.utils import logging as transformers_logging

    shown = shown and sys.stderr.isatty()
    before = datasets.are_progress_bars_disabled(), transformers_logging.is_progress_bar_enabled()
    _set(datasets=shown, transformers=shown)
    try:
        yield
    finally:
        _set(datasets=not before[0], transformers=before[1])


def _set(*, datasets: bool, transformers: bool) -> None:
    import datasets as library
    from transformers.utils import logging

    (library.enable_progress_bars if datasets else library.disable_progress_bars)()
    bar: Any = logging.enable_progress_bar if transformers else logging.disable_progress_bar
    bar()
