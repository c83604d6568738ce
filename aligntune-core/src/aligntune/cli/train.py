"""`aligntune train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.markup import escape

from aligntune.cli.configured import plan_of
from aligntune.cli.console import out, print_json, show_log, table
from aligntune.core.backend_factory import trainer_for
from aligntune.hardware import Hardware
from aligntune.run import RunDirectory

__all__ = ["run", "show_run"]


def run(
    config: Path | None, flags: dict[str, Any], *, resume: bool, overwrite: bool, as_json: bool
) -> None:
    """Plan the run, train, and show what came of it."""
    plan = plan_of(config, flags, hardware=Hardware.detect())
    show_log(plan.config.logging.log_level)
    if not as_json:
        out.print(
            f"[bold]{plan.algorithm.name}[/] on [bold]{plan.backend.name}[/]: {escape(plan.why)}"
        )
        for line in plan.batch:
            out.print(f"  {line}", highlight=False, markup=False)
    done = trainer_for(plan).train(resume=resume, overwrite=overwrite)
    if as_json:
        print_json(summary(done))
    else:
        show_run(done)


def summary(run: RunDirectory) -> dict[str, Any]:
    """What a program wants to know of a finished run."""
    metrics = run.read_jsonl(run.metrics)
    return {
        "output_dir": str(run.path),
        "model": str(run.model),
        "report": str(run.report),
        "status": run.read_status().get("status"),
        "steps": metrics[-1]["step"] if metrics else 0,
        "evaluation": run.read_jsonl(run.evaluation),
    }


def show_run(run: RunDirectory) -> None:
    """Evaluations as a table, then where model and report are."""
    rows = run.read_jsonl(run.evaluation)
    if rows:
        shown = table("when", "step", "metric", "value", "95 % interval", "n")
        for row in rows:
            low, high = row.get("low"), row.get("high")
            interval = "" if low is None or high is None else f"{low:.4g} to {high:.4g}"
            shown.add_row(
                row["when"],
                str(row["step"]),
                row["name"],
                f"{row['value']:.4g}",
                interval,
                str(row["n"]),
            )
        out.print(shown)
    out.print(f"model   {run.model}", highlight=False, markup=False, soft_wrap=True)
    out.print(f"report  {run.report}", highlight=False, markup=False, soft_wrap=True)
