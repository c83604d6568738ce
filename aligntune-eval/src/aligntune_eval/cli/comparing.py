"""`aligntune eval --compare RUN RUN`: the paired difference of what earlier evaluations wrote."""

from __future__ import annotations

from aligntune.run.files import to_json

__all__ = ["compare_command"]


def compare_command(runs: list[str], output_dir: str | None, *, as_json: bool) -> None:
    """Print how each further run differs from the first; with a folder, write a page there.

    Raises:
        EvaluationError: if the runs cannot be compared.
    """
    from pathlib import Path

    import typer

    from aligntune_eval.comparing.compare import compare_runs
    from aligntune_eval.comparing.table import print_comparisons
    from aligntune_eval.files.reading_run import refuse_run

    folder = None if output_dir is None else Path(output_dir).expanduser()
    if folder is not None:
        refuse_run(folder)
    comparisons = compare_runs(runs)
    if as_json:
        typer.echo(to_json({"comparisons": [each.as_dict() for each in comparisons]}, indent=2))
    else:
        print_comparisons(comparisons)
    if folder is not None:
        from aligntune_eval.files.reading import read_results
        from aligntune_eval.page import write_page

        results = [result for run in runs for result in read_results(run)]
        page = write_page(results, folder / "report.html", comparisons=comparisons)
        typer.echo(page, err=as_json)
