"""Measures models, with bars on standard error and a table or JSON on standard output."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from aligntune_eval.cli.wanted import Wanted
    from aligntune_eval.runner.runner import RunProgress

__all__ = ["Run", "measure_command"]


@dataclass(frozen=True)
class Run:
    """How to run: the flags that do not change what is measured."""

    output_dir: str | None
    batch_size: int
    precision: str
    device: str | None
    trust_remote_code: bool
    overwrite: bool


def measure_command(models: list[str], wanted: Wanted, run: Run, *, as_json: bool) -> None:
    """Measure the models on what is wanted, and print it.

    Raises:
        AlignTuneError: as `aligntune_eval.runner.runner.evaluate_models` says.
    """
    from rich.console import Console

    from aligntune import plugins as installed
    from aligntune.errors import EvaluationError
    from aligntune_eval.cli.tables import print_results, results_as_json
    from aligntune_eval.cli.wanted import prepare_wanted
    from aligntune_eval.models.load import check_model, folder_of_run, precision_of
    from aligntune_eval.runner.runner import evaluate_models

    if run.overwrite and run.output_dir is None:
        raise EvaluationError("--overwrite says what happens to --output-dir, which is not given")
    precision_of(run.precision)
    for model in models:  # a missing one shows before the data are read
        check_model(folder_of_run(model))
    _hide_bars_of_libraries()
    plugins = installed.get()
    tasks = prepare_wanted(wanted, plugins, run.batch_size, trust_remote_code=run.trust_remote_code)
    console = Console(stderr=True)
    try:
        with _log(console), _bars(console) as progress:
            results = evaluate_models(
                models,
                tasks,
                output_dir=run.output_dir,
                overwrite=run.overwrite,
                batch_size=run.batch_size,
                precision=run.precision,
                device=run.device,
                trust_remote_code=run.trust_remote_code,
                plugins=plugins,
                progress=progress,
            )
    except KeyboardInterrupt:
        kept = (
            "nothing is kept without --output-dir"
            if run.output_dir is None
            else f"what is done is kept in {run.output_dir}; the same command goes on from there"
        )
        typer.secho(f"interrupted; {kept}", fg=typer.colors.RED, err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(results_as_json(results, run.output_dir))
    else:
        print_results(results, run.output_dir)


def _hide_bars_of_libraries() -> None:
    """Ours tell the same, in one place."""
    import datasets
    from transformers.utils import logging as transformers_logging

    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


class _Lines(logging.Handler):
    """Prints each message as one line, above the bars."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        text = level + self.format(record)
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


@contextmanager
def _log(console: Console) -> Iterator[None]:
    """What the runner says of earlier results, on standard error beside the bars."""
    handler = _Lines(console)
    logger = logging.getLogger("aligntune")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def _bars(console: Console) -> Iterator[RunProgress]:
    """Bars on standard error, so that standard output stays a table or JSON."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        shown: dict[str, Any] = {}

        def update(model: str, task: str, what: str, done: int, total: int) -> None:
            label = f"{model}: {task}, {what}" if task else f"{model}: {what}"
            if label not in shown:
                for other in shown.values():
                    bars.update(other, visible=False)
                shown[label] = bars.add_task(label, total=total or None)
            bars.update(shown[label], completed=done, visible=True)

        yield update
