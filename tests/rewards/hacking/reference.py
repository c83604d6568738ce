"""Cases of the group reference."""

from __future__ import annotations

import random

from aligntune.testing import make_classifier, make_encoder
from aligntune_rewards import (
    BertscoreReward,
    BleuReward,
    ChrfReward,
    CodebleuReward,
    FactualCorrectnessReward,
    MeteorReward,
    RougeReward,
    SemanticSimilarityReward,
)
from aligntune_rewards.words import words
from hacking import Case, Get
from hacking.tricks import STOCK

RIGHT = "The committee will meet again on Monday to vote on the new budget."
HONEST = "The committee will meet on Monday again, to vote on the budget."
# It holds the reference itself, word for word; a policy does not see that.
TOLD = {"keywords: reference, in brackets": "the whole reference is in it, and counts as found"}
POOR = "A group of people might possibly talk about some money at a later date."

WRONG = "The committee was cancelled, and nobody will ever vote."


def encoder(get: Get) -> str:
    """Each word has a direction of its own, and none is near another."""
    chosen = random.Random(0)
    known = dict.fromkeys(words(" ".join([RIGHT, HONEST, POOR, *STOCK])))
    vectors = {word: [chosen.gauss(0, 1) for _ in range(48)] for word in known}
    return str(make_encoder(get("tmp_path") / "encoder", vectors, context=0.5))


def judge(get: Get) -> str:
    """What the reference says speaks for entailment, and what is wrong for contradiction."""
    right = dict.fromkeys(("meet", "monday", "budget"), (1.0, -0.5, -1.0))
    wrong = dict.fromkeys(("cancelled", "nobody"), (-1.0, -0.5, 1.0))
    labels = ("entailment", "neutral", "contradiction")
    return str(make_classifier(get("tmp_path") / "judge", labels, right | wrong, scale=20.0))


MEAN = """
def mean(values):
    total = 0
    for value in values:
        total += value
    return total / len(values)
"""
OTHER_MEAN = """
def average(numbers):
    found = 0
    for number in numbers:
        found = found + number
    return found / len(numbers)
"""

CASES: dict[str, Case] = {
    "bleu": Case(build=lambda get: BleuReward(), honest=HONEST, poor=POOR, reference=RIGHT),
    "chrf": Case(build=lambda get: ChrfReward(), honest=HONEST, poor=POOR, reference=RIGHT),
    "rouge": Case(build=lambda get: RougeReward(), honest=HONEST, poor=POOR, reference=RIGHT),
    "rouge/words": Case(
        build=lambda get: RougeReward("rouge1"), honest=HONEST, poor=POOR, reference=RIGHT
    ),
    "rouge/pairs": Case(
        build=lambda get: RougeReward("rouge2"),
        honest=HONEST,
        poor=POOR,
        reference=RIGHT,
        exempt=TOLD,
    ),
    "rouge/sentences": Case(
        build=lambda get: RougeReward("rougeLsum"), honest=HONEST, poor=POOR, reference=RIGHT
    ),
    "meteor": Case(
        build=lambda get: MeteorReward(), honest=HONEST, poor=POOR, reference=RIGHT, exempt=TOLD
    ),
    "codebleu": Case(
        build=lambda get: CodebleuReward(),
        honest=f"```python\n{OTHER_MEAN}```",
        poor="```python\ndef mean(values):\n    print(values)\n```",
        reference=MEAN,
        keywords=("for", "return", "in", "def"),
    ),
    "bertscore": Case(
        build=lambda get: BertscoreReward(encoder(get)),
        honest=HONEST,
        poor=POOR,
        reference=RIGHT,
    ),
    "semantic_similarity": Case(
        build=lambda get: SemanticSimilarityReward(encoder(get)),
        honest=HONEST,
        poor=POOR,
        reference=RIGHT,
        exempt={
            "keywords: reference, 10 times": "all words of the reference, and hardly any other"
        },
    ),
    "factual_correctness": Case(
        build=lambda get: FactualCorrectnessReward(judge(get)),
        honest=HONEST,
        poor=WRONG,
        reference=RIGHT,
        keywords=("entailment", "yes", "true", "correct"),
    ),
}
