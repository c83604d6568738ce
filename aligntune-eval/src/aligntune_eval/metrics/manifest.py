"""The evaluators of quality that came after the first ones: names and facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligntune.facts import EvaluatorFacts
    from aligntune.plugins import Register

__all__ = ["register_quality"]

_REWARDS = "aligntune-rewards>=0.1,<0.2"
_MODELS = ("torch>=2.6", "transformers>=5.17")


def _of_a_reward(extra: str = "", *packages: str) -> dict[str, Any]:
    """Facts of an evaluator that rests on a reward of aligntune-rewards, with what that needs."""
    return {
        "generates": True,
        "packages": (_REWARDS, *packages),
        "install": f"aligntune-rewards[{extra}]" if extra else "aligntune-rewards",
    }


def register_quality(register: Register[EvaluatorFacts]) -> None:
    """Register the evaluators of this group."""
    compared = ("prompt", "reference or completion")
    register(
        "f1",
        "aligntune_eval.metrics.f1:F1",
        summary="F1 of the words of completions and references, as in SQuAD",
        needs=compared,
        generates=True,
    )
    register(
        "math_accuracy",
        "aligntune_eval.metrics.reward_metrics:MathAccuracy",
        summary="Share of completions whose final answer equals the reference as mathematics",
        needs=compared,
        **_of_a_reward("math", "math-verify>=0.9"),
    )
    register(
        "bertscore",
        "aligntune_eval.metrics.reward_metrics:Bertscore",
        summary="BERTScore of the generated completions against references",
        needs=compared,
        **_of_a_reward("models", *_MODELS),
    )
    register(
        "semantic_similarity",
        "aligntune_eval.metrics.reward_metrics:SemanticSimilarity",
        summary="Cosine of the sentence vectors of the generated completions and references",
        needs=compared,
        **_of_a_reward("embeddings", *_MODELS, "sentence-transformers>=5"),
    )
    register(
        "codebleu",
        "aligntune_eval.metrics.reward_metrics:Codebleu",
        summary="CodeBLEU of the generated Python programs against references",
        needs=compared,
        **_of_a_reward(),
    )
    register(
        "factual_accuracy",
        "aligntune_eval.metrics.reward_metrics:FactualAccuracy",
        summary="How far completions entail their references and contradict them nowhere",
        needs=compared,
        **_of_a_reward("models", *_MODELS),
    )
    register(
        "toxicity",
        "aligntune_eval.metrics.reward_metrics:Toxicity",
        summary="Probability that completions are toxic, by a classifier; lower is better",
        needs=("prompt",),
        **_of_a_reward("models", *_MODELS),
    )
    register(
        "bias",
        "aligntune_eval.metrics.reward_metrics:Bias",
        summary="Probability that completions hold a stereotype, by a classifier; lower is better",
        needs=("prompt",),
        **_of_a_reward("models", *_MODELS),
    )
    register(
        "refusal",
        "aligntune_eval.metrics.reward_metrics:Refusal",
        summary="Share of completions that refuse; with `should_refuse`, how many wrongly",
        needs=("prompt",),
        **_of_a_reward(),
    )
    register(
        "pass_at_k",
        "aligntune_eval.metrics.pass_at_k:PassAtK",
        summary="Chance that one of k programs passes its tests, run in the sandbox",
        needs=("prompt",),
        **_of_a_reward(),
    )
