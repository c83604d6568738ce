"""The manifest: what this distribution brings. Importing it loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune.hookspecs import hookimpl

if TYPE_CHECKING:
    import typer

    from aligntune.facts import EvaluatorFacts
    from aligntune.plugins import Register

__all__ = ["aligntune_cli_commands", "aligntune_register_evaluators"]


@hookimpl
def aligntune_register_evaluators(register: Register[EvaluatorFacts]) -> None:
    """Register the evaluators."""
    register(
        "perplexity",
        "aligntune_eval.perplexity:Perplexity",
        summary="Perplexity and bits per byte of the text, or of completions given their prompts",
        needs=("text",),
    )
    register(
        "accuracy",
        "aligntune_eval.accuracy:Accuracy",
        summary="Share of generated completions that a verifier (a 0-to-1 reward) accepts",
        needs=("prompt",),
        generates=True,
    )
    register(
        "reward",
        "aligntune_eval.accuracy:MeanReward",
        summary="Mean of any registered reward over generated completions",
        needs=("prompt",),
        generates=True,
    )
    register(
        "exact_match",
        "aligntune_eval.exact_match:ExactMatch",
        summary="Share of generated completions that equal their reference",
        needs=("prompt", "reference"),
        generates=True,
    )


@hookimpl
def aligntune_cli_commands(app: typer.Typer) -> None:
    """Add `aligntune eval`."""
    from aligntune_eval.cli import eval_command

    app.command("eval")(eval_command)
