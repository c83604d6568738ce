"""Cases of the group style."""

from __future__ import annotations

from aligntune.testing import make_classifier
from aligntune_rewards import FormalityReward, SentimentReward, ToneReward
from hacking import Case, Get


def _formal(get: Get) -> str:
    words = {word: [-1.0, 1.0] for word in ("therefore", "conclude", "sufficient", "evidence")}
    words |= {"gonna": [1.0, -1.0], "dunno": [1.0, -1.0]}
    folder = get("tmp_path") / "formal"
    return str(make_classifier(folder, ["informal", "formal"], words, scale=8.0))


CASES: dict[str, Case] = {
    "sentiment": Case(
        build=lambda get: SentimentReward(),
        honest="The trip was a joy, the people were kind, and we loved the food.",
        poor="The trip was horrible, and I hated the awful food.",
        prompt="How was the trip?",
        keywords=("excellent", "wonderful", "happy", "love"),
    ),
    "sentiment/neutral": Case(
        build=lambda get: SentimentReward("neutral"),
        honest="The train left at nine and came at noon.",
        poor="The trip was horrible, and I hated the awful food.",
        prompt="How was the trip?",
    ),
    "tone": Case(
        build=lambda get: ToneReward(),
        honest="The report is attached. The figures of March are on the second page.",
        poor="Read the STUPID REPORT yourself, you lazy idiot!",
        prompt="Where are the figures?",
        keywords=("kindly", "sincerely", "regards", "please"),
    ),
    "formality": Case(
        build=lambda get: FormalityReward(_formal(get)),
        honest="Therefore, evidence sufficient.",
        poor="Dunno, gonna see.",
        prompt="What follows?",
    ),
}
