"""The manifest: what this distribution brings. Importing it loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.hookspecs import hookimpl
from aligntune_eval.metrics.manifest import register_quality

if TYPE_CHECKING:
    import typer

    from aligntune.facts import EvaluatorFacts, TaskFacts
    from aligntune.plugins import Register

__all__ = ["aligntune_cli_commands", "aligntune_register_evaluators", "aligntune_register_tasks"]

_TEXT: dict[str, Any] = {
    "needs": ("prompt", "reference or completion"),
    "generates": True,
    "install": "aligntune-eval[text]",
}


@hookimpl
def aligntune_register_evaluators(register: Register[EvaluatorFacts]) -> None:
    """Register the evaluators."""
    register(
        "perplexity",
        "aligntune_eval.metrics.perplexity:Perplexity",
        summary="Perplexity and bits per byte of the text, or of completions given their prompts",
        needs=("text",),
    )
    register(
        "loss",
        "aligntune_eval.metrics.perplexity:Loss",
        summary="Mean negative log-likelihood of a token of the text or completion, in nats",
        needs=("text",),
    )
    register(
        "multiple_choice",
        "aligntune_eval.metrics.choices:MultipleChoice",
        summary="Share of questions whose right choice is the likeliest (acc, acc_norm, acc_bytes)",
        needs=("prompt", "reference"),
    )
    register(
        "calibration",
        "aligntune_eval.metrics.calibration:Calibration",
        summary="Expected calibration error and Brier score over answers to choose from",
        needs=("prompt", "reference"),
    )
    register(
        "runtime",
        "aligntune_eval.metrics.runtime:Runtime",
        summary="Seconds and tokens per second of what the other evaluators let the model do",
    )
    register(
        "accuracy",
        "aligntune_eval.metrics.accuracy:Accuracy",
        summary="Share of generated completions that a verifier (a 0-to-1 reward) accepts",
        needs=("prompt",),
        generates=True,
    )
    register(
        "reward",
        "aligntune_eval.metrics.accuracy:MeanReward",
        summary="Mean of any registered reward over generated completions",
        needs=("prompt",),
        generates=True,
    )
    register(
        "exact_match",
        "aligntune_eval.metrics.exact_match:ExactMatch",
        summary="Share of generated completions that equal their reference",
        needs=("prompt", "reference or completion"),
        generates=True,
    )
    register(
        "bleu",
        "aligntune_eval.metrics.corpus:Bleu",
        summary="BLEU of the generated completions against references, over the corpus (sacrebleu)",
        packages=("sacrebleu>=2.5",),
        **_TEXT,
    )
    register(
        "chrf",
        "aligntune_eval.metrics.corpus:Chrf",
        summary="chrF of the generated completions against references, over the corpus (sacrebleu)",
        packages=("sacrebleu>=2.5",),
        **_TEXT,
    )
    register(
        "ter",
        "aligntune_eval.metrics.corpus:Ter",
        summary="Translation edit rate of the generated completions, over the corpus (sacrebleu)",
        packages=("sacrebleu>=2.5",),
        **_TEXT,
    )
    register(
        "rouge",
        "aligntune_eval.metrics.rouge:Rouge",
        summary="ROUGE-1, -2, -L and -Lsum of the generated completions against references",
        packages=("rouge-score>=0.1.2",),
        **_TEXT,
    )
    register(
        "meteor",
        "aligntune_eval.metrics.meteor:Meteor",
        summary="METEOR, without synonyms, of the generated completions against references (NLTK)",
        packages=("nltk>=3.9",),
        **_TEXT,
    )
    register(
        "custom_metric",
        "aligntune_eval.metrics.custom_metric:CustomMetric",
        summary="What a function says of the generated completions and their references",
        needs=("prompt", "reference or completion"),
        generates=True,
    )
    register_quality(register)
    register(
        "preference_accuracy",
        "aligntune_eval.preference.evaluators:PreferenceAccuracy",
        summary="Share of pairs whose chosen answer has the higher reward, implicit or registered",
        needs=("chosen", "rejected"),
    )
    register(
        "reward_margin",
        "aligntune_eval.preference.evaluators:RewardMargin",
        summary="Mean difference between the rewards of chosen and rejected answers",
        needs=("chosen", "rejected"),
    )
    register(
        "win_rate",
        "aligntune_eval.preference.win_rate:WinRate",
        summary="Share of rows whose completion beats a baseline, by a reward or a pairwise judge",
        needs=("prompt",),
        generates=True,
    )
    register(
        "kl",
        "aligntune_eval.metrics.kl:KlDivergence",
        summary="KL divergence from a reference model along the completions, exact at each token",
        needs=("prompt",),
        generates=True,
    )


@hookimpl
def aligntune_register_tasks(register: Register[TaskFacts]) -> None:
    """Register the tasks."""
    from aligntune_eval.tasks.facts import TASKS

    for name, (target, facts) in TASKS.items():
        register(name, target, **facts)


@hookimpl
def aligntune_cli_commands(app: typer.Typer) -> None:
    """Add `aligntune eval`."""
    from aligntune_eval.cli import eval_command

    app.command("eval")(eval_command)
