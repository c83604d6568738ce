"""`aligntune quickstart`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from aligntune.cli.console import out, print_json, show_log, table
from aligntune.quickstart import Stage
from aligntune.quickstart import run as run_quickstart

__all__ = ["run"]

_SAID = {
    "untrained": "as it was made",
    "sft": "after SFT on a sloppy teacher",
    "grpo": "after GRPO on being right",
}


def run(folder: Path, *, seed: int, overwrite: bool, as_json: bool) -> None:
    """Run the quickstart and show a small table."""
    # A model this small gains nothing from a second thread, and threads that share busy cores spend
    # their time waiting for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    show_log("WARNING")

    def tell(line: str) -> None:
        if not as_json:
            out.print(line, highlight=False, soft_wrap=True)

    stages = run_quickstart(folder, seed=seed, overwrite=overwrite, tell=tell)
    if as_json:
        print_json(json.loads((folder / "quickstart.json").read_text(encoding="utf-8")))
        return
    _show(folder, stages)


def _show(folder: Path, stages: list[Stage]) -> None:
    shown = table("model", "accuracy", "95 % interval", "problems", "training")
    for stage in stages:
        took = "" if stage.name == "untrained" else f"{stage.seconds:.0f} s"
        interval = f"{stage.low:.3f} to {stage.high:.3f}"
        shown.add_row(_SAID[stage.name], f"{stage.accuracy:.3f}", interval, str(stage.n), took)
    out.print()
    out.print(shown)
    out.print()
    for label, path in (
        ("report", folder / "grpo" / "report.html"),
        ("table", folder / "evaluation" / "report.html"),
        ("model", folder / "grpo" / "model"),
        ("again", f"aligntune train {folder / 'grpo.yaml'} --overwrite"),
    ):
        out.print(f"{label:7} {path}", highlight=False, soft_wrap=True)
