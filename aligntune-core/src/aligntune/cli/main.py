"""The `aligntune` command: its commands, and the one place where errors are shown to the user.

Nothing heavy is imported here, so that `--help` and `plugins` start in a blink. Commands of plugins
are looked for when the command is not one of core's, and for `--help`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from aligntune.enums import TrainingType as Kind
from aligntune.errors import AlignTuneError, NotRegisteredError, did_you_mean

__all__ = ["app", "main"]

app = typer.Typer(
    name="aligntune",
    help="Align and fine-tune language models.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
rewards_app = typer.Typer(help="Look at reward functions, and try them.", no_args_is_help=True)
app.add_typer(rewards_app, name="rewards")
plugins_app = typer.Typer(help="List the installed plugins, or begin one of your own.")
app.add_typer(plugins_app, name="plugins")

# Commands that distributions bring, for the hint when one is not installed.
_BROUGHT_BY = {"eval": "aligntune-eval", "merge": "aligntune-trl"}
_ANY = {"allow_extra_args": True, "ignore_unknown_options": True}

Config = Annotated[str | None, typer.Argument(help="YAML or JSON file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Model = Annotated[str | None, typer.Option(help="Model: hub name or folder.")]
Data = Annotated[str | None, typer.Option(help="Data set: hub name or file.")]
Type = Annotated[str | None, typer.Option(help="sft, rl, or the name of an algorithm.")]
Algorithm = Annotated[str | None, typer.Option(help="Algorithm, such as grpo.")]
Backend = Annotated[str | None, typer.Option(help="auto, trl or unsloth.")]
Output = Annotated[str | None, typer.Option(help="Run directory.")]
_MORE = "Every parameter of a configuration is a flag too: --learning-rate 2e-4, --train.seed 7."


def _given(
    context: typer.Context, config: str | None, **named: Any
) -> tuple[Path | None, dict[str, Any]]:
    """The configuration file, if one was given, and the flags.

    click takes the first thing that it does not know as the file, also where that is a flag.
    """
    from aligntune.cli.flags import read_flags

    if config is not None and config.startswith("-"):
        return None, read_flags([config, *context.args], named)
    return None if config is None else Path(config), read_flags(context.args, named)


@app.command(context_settings=_ANY, epilog=_MORE)
def train(
    context: typer.Context,
    config: Config = None,
    model: Model = None,
    dataset: Data = None,
    type: Type = None,  # noqa: A002 (it is the name of the flag)
    algorithm: Algorithm = None,
    backend: Backend = None,
    output_dir: Output = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier run.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model, evaluate it, and leave a run directory behind."""
    from aligntune.cli.train import run

    path, flags = _given(
        context,
        config,
        model=model,
        dataset=dataset,
        type=type,
        algorithm=algorithm,
        backend=backend,
        output_dir=output_dir,
    )
    run(path, flags, resume=resume, overwrite=overwrite, as_json=as_json)


@app.command(context_settings=_ANY, epilog=_MORE)
def validate(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Check a configuration as far as that goes without loading anything."""
    from aligntune.cli.plan import validate as run

    run(*_given(context, config), as_json=as_json)


@app.command(context_settings=_ANY, epilog=_MORE)
def plan(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Show what would run: every value, where it comes from and where it goes."""
    from aligntune.cli.plan import show

    show(*_given(context, config), as_json=as_json)


@app.command(context_settings=_ANY, epilog=_MORE)
def preview(
    context: typer.Context,
    config: Config = None,
    rows: Annotated[int, typer.Option(min=0, help="Rows of each data set to show.")] = 3,
    lengths: Annotated[int, typer.Option(min=1, help="Rows whose lengths are counted.")] = 1000,
    html: Annotated[Path | None, typer.Option(help="Write a page to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show rows as read, as rendered and as tokens, with what is trained on, before a run."""
    from aligntune.cli.preview import run

    run(*_given(context, config), rows=rows, lengths=lengths, html=html, as_json=as_json)


@app.command(context_settings=_ANY)
def explain(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="[PARAMETER|SECTION|FILE]", show_default=False)
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write the parameter reference.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a parameter means and where it goes; of a file, every value of its run."""
    if markdown:
        from aligntune import plugins as installed
        from aligntune.cli.reference import reference

        sys.stdout.write(reference(installed.get()))
        return
    from aligntune.cli.explain import run

    path, flags = _given(context, target)
    run(None if path is None else str(path), flags, as_json=as_json)


@app.command()
def schema(
    kind: Annotated[
        Kind | None, typer.Option(help="Whose defaults it names.", show_default="both")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it to this file.")
    ] = None,
) -> None:
    """Write the JSON Schema of configuration files, for editors."""
    from aligntune.cli.schema import run

    run(None if kind is None else kind.value, output)


@plugins_app.callback(invoke_without_command=True)
def plugins(context: typer.Context, as_json: Json = False) -> None:
    """List the installed plugins, what they provide, and what became of them."""
    if context.invoked_subcommand is not None:
        return
    from aligntune.cli.plugins import show

    show(as_json=as_json)


@plugins_app.command("new")
def plugins_new(
    kind: Annotated[str, typer.Argument(help="reward, evaluator or backend.")],
    name: Annotated[str, typer.Argument(help="Name of the package, such as my-reward.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder to make.", show_default="the name"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a small package with a plugin: it installs, and passes its tests, at once."""
    from aligntune.cli.new_plugin import run

    run(kind, name, output, as_json=as_json)


@app.command()
def algorithms(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write the table of the documentation.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the algorithms that are installed, and the backends that run them."""
    from aligntune import plugins as installed
    from aligntune.cli.algorithms import show

    show(installed.get(), as_json=as_json, markdown=markdown)


@rewards_app.command("list")
def rewards_list(as_json: Json = False) -> None:
    """List the reward functions that are installed, and what each needs."""
    from aligntune.cli.rewards import show

    show(as_json=as_json)


Reward = Annotated[str, typer.Argument(help="Name of a reward, or package.module:name.")]
Rewards = Annotated[list[str], typer.Argument(help="Names of rewards, or package.module:name.")]
Many = list[str] | None


@rewards_app.command("describe")
def rewards_describe(name: Reward, as_json: Json = False) -> None:
    """Say what a reward measures, what it needs, and which parameters it has."""
    from aligntune.cli.rewards import describe

    describe(name, as_json=as_json)


@rewards_app.command("test")
def rewards_test(
    names: Rewards,
    text: Annotated[Many, typer.Option(help="A completion to score; may be repeated.")] = None,
    reference: Annotated[Many, typer.Option(help="What it is compared with.")] = None,
    prompt: Annotated[Many, typer.Option(help="Its prompt.")] = None,
    column: Annotated[Many, typer.Option(help="key=value: another column.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Score the rows of a file: JSONL, JSON, CSV, Parquet.")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column of completions.", show_default="completion, text")
    ] = None,
    prompt_column: Annotated[
        str | None, typer.Option(help="Column of prompts.", show_default="prompt")
    ] = None,
    reference_column: Annotated[
        str | None, typer.Option(help="Column of references.", show_default="as in training")
    ] = None,
    max_rows: Annotated[int | None, typer.Option(min=1, help="The first so many rows.")] = None,
    param: Annotated[
        Many, typer.Option(help="key=value: a parameter; reward.key=value with several rewards.")
    ] = None,
    params: Annotated[str | None, typer.Option(help="All parameters as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Score a text or a file of rows: values, distribution, failures, speed, agreement."""
    from aligntune.cli.reward_input import read_params, rows_of
    from aligntune.cli.reward_test import run

    rows = rows_of(file, text or [], reference or [], prompt or [], column or [])
    run(
        names,
        rows[:max_rows],
        text_column=text_column,
        prompt_column=prompt_column,
        reference_column=reference_column,
        params=read_params(names, param or [], params),
        as_json=as_json,
    )


@app.command()
def info(as_json: Json = False) -> None:
    """Show versions, hardware and backends of this installation."""
    from aligntune.cli.info import show

    show(as_json=as_json)


@app.command()
def quickstart(
    output_dir: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path(
        "quickstart"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of model, data and training.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier quickstart.")] = False,
    as_json: Json = False,
) -> None:
    """Teach a small model to add, by SFT and then GRPO: no network, no GPU, about two minutes."""
    from aligntune.cli.quickstart import run

    run(output_dir, seed=seed, overwrite=overwrite, as_json=as_json)


@app.command("reward-model")
def reward_model(
    config: Annotated[Path, typer.Argument(help="YAML or JSON file: texts, rewards, base model.")],
    further: Annotated[
        bool, typer.Option(help="base_model_name is a reward model, which is trained further.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a reward model on texts that reward functions score."""
    from aligntune.cli.reward_model import run

    run(config, further=further, as_json=as_json)


@app.command()
def report(run_directory: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """Draw the report of a run again, from the files of its directory."""
    from aligntune.run import RunDirectory, write_report

    typer.echo(write_report(RunDirectory.open(run_directory)))


def _known() -> set[str]:
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    return commands | {str(group.name) for group in app.registered_groups}


def _add_plugin_commands(arguments: list[str]) -> None:
    """Let plugins add commands where one of theirs, or the list of all, is asked for.

    Raises:
        NotRegisteredError: if nobody brings the command.
    """
    wanted = next((a for a in arguments if not a.startswith("-")), None)
    asks_for_help = wanted is None and any(a in ("-h", "--help") for a in arguments)
    if wanted in _known() or (wanted is None and arguments and not asks_for_help):
        return
    from aligntune import plugins as installed

    for problem in installed.get().add_commands(app):
        typer.secho(f"warning: {problem}", fg=typer.colors.YELLOW, err=True)
    if wanted is None or wanted in _known():
        return
    if wanted in _BROUGHT_BY:
        brings = _BROUGHT_BY[wanted]
        hint = f"it comes with {brings}: pip install {brings}"
    else:
        hint = did_you_mean(wanted, _known()) or f"commands: {', '.join(sorted(_known()))}"
    raise NotRegisteredError(f"there is no command {wanted!r}; {hint}")


def main() -> None:
    """Run the command line; a mistake of the user ends with one message and no traceback."""
    # As with `python -m`: a reward function in a file of the working directory can be named.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        _add_plugin_commands(sys.argv[1:])
        app()
    except AlignTuneError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.secho("interrupted", fg=typer.colors.RED, err=True)
        raise SystemExit(130) from None
