"""`aligntune merge`: an adapter and its base become one model."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["merge_command"]


def merge_command(
    source: Annotated[
        Path, typer.Argument(metavar="RUN_OR_ADAPTER", help="Run, checkpoint or adapter folder.")
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the merged model.")],
    base: Annotated[
        str | None, typer.Option(help="Model to merge into; unset, the one the adapter names.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Weights: auto (as the base), fp32, bf16 or fp16.")
    ] = "auto",
    overwrite: Annotated[bool, typer.Option(help="Replace a model that is there.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run Python code that comes with the base.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Merge a LoRA adapter into its base: a whole model, with its tokenizer."""
    from transformers.utils import logging

    from aligntune_trl.lora.merge import merge

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():  # what libraries will rename is no news to a user
        warnings.filterwarnings("ignore", category=FutureWarning)
        merged = merge(
            source,
            output,
            base=base,
            dtype=dtype,
            overwrite=overwrite,
            trust_remote_code=trust_remote_code,
        )
    if as_json:
        typer.echo(json.dumps({name: _plain(value) for name, value in asdict(merged).items()}))
        return
    typer.echo(f"{merged.output}: {merged.adapter} in {merged.base}, {merged.dtype}")
    if merged.quantized:
        typer.echo("it was trained on quantized weights, and is merged into those they are made of")


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
