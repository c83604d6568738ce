"""Cases of the group shape."""

from __future__ import annotations

from aligntune_rewards import (
    ConcisenessReward,
    CosineLengthReward,
    LanguageReward,
    LengthReward,
    OverlongPenaltyReward,
    RepetitionPenaltyReward,
    StructureReward,
)
from hacking import Case

ANSWER = (
    "Plants turn light into sugar. Their leaves take in carbon dioxide, the roots bring water, and "
    "chlorophyll catches the light (red and blue above all). Oxygen is left over."
)

CASES: dict[str, Case] = {
    "length": Case(
        build=lambda get: LengthReward(min_length=20, max_length=60),
        honest=ANSWER,
        poor="It is light.",
        prompt="How do plants live?",
    ),
    "structure": Case(
        build=lambda get: StructureReward(),
        honest=ANSWER,
        poor="Plants (they need light and",
        prompt="How do plants live?",
    ),
    "structure/unrepeated": Case(
        build=lambda get: StructureReward(require=["unrepeated"]),
        honest=ANSWER,
        poor="Plants need light. " * 5,
        prompt="How do plants live?",
        at_most=0.0,
        exempt={
            "stock: alone": "the repetition is gone with the text",
            "unicode: right to left": "its full stops stand before the sentences, so it has one",
        },
    ),
    "overlong_penalty": Case(
        build=lambda get: OverlongPenaltyReward(60, 20),
        honest=ANSWER,
        poor=f"{ANSWER} {ANSWER}",
        prompt="How do plants live?",
    ),
    "repetition_penalty": Case(
        build=lambda get: RepetitionPenaltyReward(),
        honest=ANSWER,
        poor="Plants need light, as plants need light. " * 4,
        prompt="How do plants live?",
    ),
    "cosine_length": Case(
        build=lambda get: CosineLengthReward(60, judge="accuracy"),
        honest="There are 9 * 8 pens. The answer is 72.",
        poor="There are 9 + 8 pens. The answer is 71.",
        prompt="A shop sells 9 boxes of 8 pens. How many pens are that?",
        reference="72",
        keywords=("72", "71"),
        at_most=-0.5,
    ),
    "conciseness": Case(
        build=lambda get: ConcisenessReward(),
        honest=ANSWER,
        poor=f"Let me think about that question for a while, as it is a deep one. {ANSWER}",
        prompt="How do plants live?",
        reference=ANSWER,
    ),
    "language": Case(
        build=lambda get: LanguageReward("de"),
        honest="Pflanzen wandeln Licht in Zucker um. Ihre Blätter nehmen Kohlendioxid auf.",
        poor=ANSWER,
        prompt="Wie leben Pflanzen?",
        at_most=0.2,
        exempt={"keywords: prompt, 10 times": "the prompt is in the right language"},
    ),
}
