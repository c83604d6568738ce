"""`aligntune preview`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aligntune.cli.configured import plan_of
from aligntune.cli.console import out, print_json, show_log
from aligntune.core.trainer_base import TrainerBase
from aligntune.hardware import Hardware
from aligntune.preview.page import write_page
from aligntune.preview.terminal import show

__all__ = ["run"]


def run(
    config: Path | None,
    flags: dict[str, Any],
    *,
    rows: int,
    lengths: int,
    html: Path | None,
    as_json: bool,
) -> None:
    """Plan the run, and show its rows; the backend is not prepared, for no weight is loaded."""
    show_log("ERROR")  # what the log would say of the rows is part of the preview
    plan = plan_of(config, flags, hardware=Hardware.detect())
    trainer: TrainerBase = plan.algorithm.load()(plan, None)
    preview = trainer.preview(rows, lengths)
    if html is not None:
        write_page(preview, html)
    if as_json:
        print_json(preview.as_dict())
    else:
        show(preview, out)
    if html is not None and not as_json:
        out.print(f"page  {html}", highlight=False, markup=False, soft_wrap=True)
