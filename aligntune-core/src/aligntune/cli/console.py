"""Consoles for people: tables on standard output, messages on standard error."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from aligntune.run.files import to_json

__all__ = ["out", "print_json", "show_log", "table"]

out = Console()


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table in the style of the command line."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    made.header_style = "bold"
    for column in columns:
        made.add_column(column, overflow="fold")  # a name that is cut off cannot be copied
    return made


def print_json(value: Any) -> None:
    """Print JSON and nothing else on standard output; infinities are strings, as in the files."""
    sys.stdout.write(to_json(value, indent=2) + "\n")


def show_log(level: str = "INFO") -> None:
    """Show the log of AlignTune on standard error."""
    handler = RichHandler(
        console=Console(stderr=True),
        show_path=False,
        show_time=False,
        show_level=True,
        markup=False,
    )
    logger = logging.getLogger("aligntune")
    if not any(isinstance(known, RichHandler) for known in logger.handlers):
        logger.addHandler(handler)
    logger.propagate = False
    # What the libraries will rename in a later release is no news to the user of a command line.
    warnings.filterwarnings("ignore", category=FutureWarning)
    logger.setLevel(level)
