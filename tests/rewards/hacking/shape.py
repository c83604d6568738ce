"""Cases of the group shape."""

from __future__ import annotations

from aligntune_rewards import LengthReward, StructureReward
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
}
