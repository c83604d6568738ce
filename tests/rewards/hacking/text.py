"""Cases of the group text."""

from __future__ import annotations

from aligntune_rewards import DiversityReward, ReadabilityReward
from hacking import Case

QUESTION = "Why should people look after the bees that live in their gardens?"
HONEST = (
    "During a single day a bee visits several hundred flowers and carries pollen from one plant to "
    "another. Without this constant help, much of our fruit and vegetables would never grow. "
    "People who want to protect them can plant different wild flowers and leave some old wood for "
    "their nests."
)

CASES: dict[str, Case] = {
    "readability": Case(
        build=lambda get: ReadabilityReward(),
        honest=HONEST,
        poor="Bees. Bees are good. Good bees. Love bees. Be a bee.",
        prompt=QUESTION,
    ),
    "readability/hard": Case(
        build=lambda get: ReadabilityReward(),
        honest=HONEST,
        poor=(
            "Apicultural sustainability necessitates institutional prioritization of biodiversity "
            "conservation initiatives, notwithstanding administrative complexities associated with "
            "horticultural diversification in residential environments."
        ),
        prompt=QUESTION,
    ),
    "diversity": Case(
        build=lambda get: DiversityReward(),
        honest=HONEST,
        poor="Bees are good and bees are good, so bees are good.",
        prompt=QUESTION,
    ),
}
