"""`aligntune eval`: measure saved models on a data set, and print a table or JSON."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aligntune.evaluation import Evaluation
    from aligntune.evaluation.protocol import Progress

__all__ = ["eval_command"]


def eval_command(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Folders of models or adapters, or hub names."),
    ],
    *,
    dataset: Annotated[
        str, typer.Option(help="Rows: a local file (jsonl, json, csv, ...) or a hub name.")
    ],
    metrics: Annotated[
        str, typer.Option(help="Evaluators, separated by commas; `aligntune plugins` lists them.")
    ] = "perplexity",
    param: Annotated[
        list[str] | None,
        typer.Option(help="EVALUATOR.KEY=VALUE sets a parameter; VALUE is JSON or text."),
    ] = None,
    output_dir: Annotated[
        str | None, typer.Option(help="Write results and samples here, in lm-eval's file shapes.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "train",
    batch_size: Annotated[int, typer.Option(min=1, help="Rows at once.")] = 16,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, help="Longest completion, in tokens.")
    ] = 256,
    max_samples: Annotated[
        int | None, typer.Option(min=1, help="Evaluate on the first so many rows.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0, help="Sampling temperature; 0 takes the likeliest token.")
    ] = 0.0,
    top_p: Annotated[float, typer.Option(help="Nucleus sampling.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of sampling and of the bootstrap.")] = 0,
    prompt_column: Annotated[str, typer.Option(help="Column of the prompts.")] = "prompt",
    reference_column: Annotated[
        str | None, typer.Option(help="Column of the right answers; unset, the usual names.")
    ] = None,
    precision: Annotated[str, typer.Option(help="auto (as saved), fp32, bf16 or fp16.")] = "auto",
    device: Annotated[str | None, typer.Option(help="Torch device; unset, a GPU if any.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run Python code that comes with the model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Measure saved models on a data set."""
    from aligntune import plugins
    from aligntune.evaluation import EvaluationSettings, prepare
    from aligntune_eval.load import check_model, load_model, precision_of
    from aligntune_eval.results import write_results
    from aligntune_eval.rows import read_rows

    settings = EvaluationSettings(
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        max_samples=max_samples,
        reference_column=reference_column,
        prompt_column=prompt_column,
    )
    number_format = precision_of(precision)
    for model in models:
        check_model(model)
    _hide_bars_of_libraries()
    rows = read_rows(dataset, split)
    evaluators = parse_evaluators(metrics, param or [])
    prepared = prepare(rows, evaluators, settings, plugins.get())
    done: list[tuple[str, Evaluation]] = []
    written: list[list[str]] = []
    for model in models:
        with _progress(model) as progress:
            loaded = load_model(
                model, precision=number_format, device=device, trust_remote_code=trust_remote_code
            )
            evaluation = prepared.run(loaded.model, loaded.tokenizer, progress)
        done.append((model, evaluation))
        written.append([])
        if output_dir is not None:
            files = write_results(
                evaluation,
                output_dir,
                model=model,
                task=Path(dataset).stem,
                rows=rows,
                settings=settings,
            )
            written[-1] = [str(files.results), str(files.samples)]
    if as_json:
        typer.echo(json.dumps(_as_json(dataset, len(prepared.rows), done, written), indent=2))
    else:
        _print_table(
            dataset, len(prepared.rows), done, [path for paths in written for path in paths]
        )


def parse_evaluators(metrics: str, params: list[str]) -> list[dict[str, Any]]:
    """The evaluators that `--metrics` and `--param` name.

    Raises:
        EvaluationError: if a parameter is not written EVALUATOR.KEY=VALUE, or its evaluator is not
            among the metrics.
    """
    from aligntune.errors import EvaluationError

    names = [name.strip() for name in metrics.split(",") if name.strip()]
    given: dict[str, dict[str, Any]] = {name: {} for name in names}
    for text in params:
        path, equals, value = text.partition("=")
        name, dot, key = path.rpartition(".")
        if not (equals and dot and key):
            raise EvaluationError(f"--param {text!r} is not of the form EVALUATOR.KEY=VALUE")
        if name not in given:
            raise EvaluationError(f"--param {text!r}: {name!r} is not among the metrics {names}")
        given[name][key] = _json_or_text(value)
    return [{"type": name, "params": given[name]} for name in names]


def _hide_bars_of_libraries() -> None:
    """Ours tell the same, in one place."""
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


@contextmanager
def _progress(model: str) -> Iterator[Progress]:
    """Bars on stderr, so that stdout stays a table or JSON."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        loading = bars.add_task(f"{model}: loading", total=None)
        tasks: dict[str, Any] = {}

        def update(what: str, done: int, total: int) -> None:
            bars.update(loading, visible=False)
            if what not in tasks:
                tasks[what] = bars.add_task(f"{model}: {what}", total=total)
            bars.update(tasks[what], completed=done)

        yield update


def _as_json(
    dataset: str, n: int, done: list[tuple[str, Evaluation]], written: list[list[str]]
) -> dict[str, Any]:
    models = [
        {"model": model, **evaluation.as_dict(), "files": files}
        for (model, evaluation), files in zip(done, written, strict=True)
    ]
    return {"dataset": dataset, "rows": n, "models": models}


def _print_table(
    dataset: str, n: int, done: list[tuple[str, Evaluation]], paths: list[str]
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{dataset}, {n} rows", title_justify="left")
    for heading in ("model", "metric"):
        table.add_column(heading, overflow="fold")
    for heading in ("value", "n", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model, evaluation in done:
        for place, metric in enumerate(evaluation.metrics):
            interval = metric.interval
            shown = "-" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}"
            first = model if place == 0 else ""
            table.add_row(first, metric.name, f"{metric.value:.4g}", str(metric.n), shown)
        table.add_section()
    console = Console()
    console.print(table)
    for path in paths:
        console.print(path, soft_wrap=True, markup=False, highlight=False)
