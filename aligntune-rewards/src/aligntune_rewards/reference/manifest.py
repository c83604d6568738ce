"""What this group brings: names and facts; rewards are imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune_rewards.learned.needs import EMBEDDINGS, MODELS

if TYPE_CHECKING:
    from aligntune.facts import RewardFacts
    from aligntune.plugins import Register

__all__ = ["register_rewards"]


def register_rewards(register: Register[RewardFacts]) -> None:
    """Register the rewards of this group."""
    register(
        "bleu",
        "aligntune_rewards.reference.bleu:BleuReward",
        summary="sentence BLEU by sacrebleu",
        requires=("reference",),
        packages=("sacrebleu>=2.5",),
        install="aligntune-rewards[reference]",
    )
    register(
        "chrf",
        "aligntune_rewards.reference.chrf:ChrfReward",
        summary="sentence chrF by sacrebleu: common character n-grams",
        requires=("reference",),
        packages=("sacrebleu>=2.5",),
        install="aligntune-rewards[reference]",
    )
    register(
        "rouge",
        "aligntune_rewards.reference.rouge:RougeReward",
        summary="ROUGE-1, -2, -L or -Lsum by rouge-score, in every script",
        requires=("reference",),
        packages=("rouge-score>=0.1.2", "nltk>=3.9"),
        install="aligntune-rewards[reference]",
    )
    register(
        "meteor",
        "aligntune_rewards.reference.meteor:MeteorReward",
        summary="METEOR by NLTK: equal words and stems, in order",
        requires=("reference",),
        packages=("nltk>=3.9",),
        install="aligntune-rewards[reference]",
    )
    register(
        "codebleu",
        "aligntune_rewards.reference.codebleu:CodebleuReward",
        summary="CodeBLEU of Python code: words, syntax and data flow of a reference program",
        requires=("reference",),
        cost="process",
    )
    register(
        "bertscore",
        "aligntune_rewards.reference.bertscore:BertscoreReward",
        summary="BERTScore: each word finds its nearest in the reference, by an encoder's vectors",
        requires=("reference",),
        **MODELS,
    )
    register(
        "semantic_similarity",
        "aligntune_rewards.reference.semantic_similarity:SemanticSimilarityReward",
        summary="the cosine of the completion's and the reference's sentence vectors",
        requires=("reference",),
        **EMBEDDINGS,
    )
    register(
        "factual_correctness",
        "aligntune_rewards.reference.factual_correctness:FactualCorrectnessReward",
        summary="whether the completion entails the reference and contradicts it nowhere",
        requires=("reference",),
        **MODELS,
    )
