"""The flags of `aligntune eval`, and which of its three jobs they ask for.

Nothing heavy is imported until the flags are read, so that `--help` starts in a blink.
"""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["eval_command"]

_DATA = "Rows and prompts"
_GENERATION = "Generation (of tasks, only what is given here is changed)"
_RUNNING = "Running"

Many = list[str] | None
Number = int | None


def eval_command(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Models, adapters, checkpoints or training runs: folders, or hub names; "
            "with --compare, folders of results; or `list`.",
        ),
    ],
    *,
    task: Annotated[
        Many,
        typer.Option(
            help="Task, or file of tasks; may be repeated, or a list with commas.",
            show_default=False,
        ),
    ] = None,
    output_dir: Annotated[
        str | None,
        typer.Option(help="Write results, samples and a page here; what is there is not redone."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare the results in two or more folders.")
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Rows: a local file (jsonl, json, csv, ...) or a hub name.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Evaluators of --dataset, separated by commas.",
            rich_help_panel=_DATA,
            show_default="perplexity",
        ),
    ] = None,
    param: Annotated[
        Many,
        typer.Option(
            help="EVALUATOR.KEY=VALUE sets a parameter; VALUE is JSON or text.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split.", rich_help_panel=_DATA, show_default="train")
    ] = None,
    subset: Annotated[
        str | None, typer.Option(help="Subset, on the hub.", rich_help_panel=_DATA)
    ] = None,
    limit: Annotated[
        Number,
        typer.Option(
            "--limit",
            "--max-samples",
            min=1,
            help="Measure the first so many rows.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    prompt_column: Annotated[
        str | None,
        typer.Option(help="Column of the prompts.", rich_help_panel=_DATA, show_default="prompt"),
    ] = None,
    reference_column: Annotated[
        str | None,
        typer.Option(
            help="Column of the right answers.",
            rich_help_panel=_DATA,
            show_default="reference, answer, ...",
        ),
    ] = None,
    num_fewshot: Annotated[
        Number,
        typer.Option(
            min=0, help="Other rows with their answers before a prompt.", rich_help_panel=_DATA
        ),
    ] = None,
    fewshot_split: Annotated[
        str | None,
        typer.Option(help="Split that these come from.", rich_help_panel=_DATA),
    ] = None,
    system_prompt: Annotated[
        str | None, typer.Option(help="Text before everything else.", rich_help_panel=_DATA)
    ] = None,
    chat: Annotated[
        bool | None,
        typer.Option(
            "--chat/--no-chat",
            help="Put prompts into the chat template of the model.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    max_new_tokens: Annotated[
        Number,
        typer.Option(
            min=1,
            help="Longest completion, in tokens.",
            rich_help_panel=_GENERATION,
            show_default="256",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="0 takes the likeliest token; above, tokens are sampled.",
            rich_help_panel=_GENERATION,
            show_default="0",
        ),
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Nucleus sampling.", rich_help_panel=_GENERATION)
    ] = None,
    top_k: Annotated[
        Number,
        typer.Option(
            min=0, help="Sample from so many likeliest tokens.", rich_help_panel=_GENERATION
        ),
    ] = None,
    num_samples: Annotated[
        Number,
        typer.Option(min=1, help="Completions of each prompt.", rich_help_panel=_GENERATION),
    ] = None,
    stop: Annotated[
        Many,
        typer.Option(
            help="Text that ends a completion; may be repeated.", rich_help_panel=_GENERATION
        ),
    ] = None,
    seed: Annotated[
        Number,
        typer.Option(help="Seed of sampling and of the bootstrap.", rich_help_panel=_GENERATION),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Rows at once.", rich_help_panel=_RUNNING)
    ] = 16,
    precision: Annotated[
        str,
        typer.Option(help="auto (as saved), fp32, bf16 or fp16.", rich_help_panel=_RUNNING),
    ] = "auto",
    device: Annotated[
        str | None,
        typer.Option(help="Torch device; unset, a GPU if any.", rich_help_panel=_RUNNING),
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Run Python code that comes with the model, or that an lm-eval file names.",
            rich_help_panel=_RUNNING,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Measure anew what is finished or half done in the output folder.",
            rich_help_panel=_RUNNING,
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Measure saved models on tasks or data sets, with a 95 % interval for every number.

    `aligntune eval list` shows tasks and evaluators (a folder of that name is ./list), and
    `aligntune eval --compare RUN RUN` compares what earlier evaluations wrote.
    """
    from aligntune_eval.cli.wanted import Wanted

    changes = {
        "split": split,
        "subset": subset,
        "max_samples": limit,
        "num_fewshot": num_fewshot,
        "fewshot_split": fewshot_split,
        "system_prompt": system_prompt,
        "chat": chat,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "num_samples": num_samples,
        "stop": None if stop is None else tuple(stop),
        "seed": seed,
    }
    wanted = Wanted(
        tasks=tuple(
            name.strip() for part in task or () for name in part.split(",") if name.strip()
        ),
        dataset=dataset,
        metrics=metrics,
        params=tuple(param or ()),
        prompt_column=prompt_column,
        reference_column=reference_column,
        changes={name: value for name, value in changes.items() if value is not None},
    )
    if compare:
        from aligntune_eval.cli.comparing import compare_command

        _refuse(context, {"compare", "output_dir", "as_json"}, "--compare measures nothing")
        compare_command(models, output_dir, as_json=as_json)
    elif models == ["list"]:
        from aligntune_eval.cli.listing import list_command

        _refuse(context, {"as_json"}, "`eval list` measures nothing (a folder list is ./list)")
        list_command(as_json=as_json)
    else:
        from aligntune_eval.cli.measuring import Run, measure_command

        run = Run(output_dir, batch_size, precision, device, trust_remote_code, overwrite)
        measure_command(models, wanted, run, as_json=as_json)


def _refuse(context: typer.Context, allowed: set[str], why: str) -> None:
    """Refuse flags that have no effect on what is asked for.

    Raises:
        EvaluationError: names the first of them.
    """
    from aligntune.errors import EvaluationError

    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in {"models", *allowed} and source is not None and source.name == "COMMANDLINE":
            raise EvaluationError(f"{why}, so {parameter.opts[0]} does not go with it")
