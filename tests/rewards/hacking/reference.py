"""Cases of the group reference."""

from __future__ import annotations

from aligntune_rewards import BleuReward, ChrfReward, CodebleuReward, MeteorReward, RougeReward
from hacking import Case

RIGHT = "The committee will meet again on Monday to vote on the new budget."
HONEST = "The committee will meet on Monday again, to vote on the budget."
# It holds the reference itself, word for word; a policy does not see that.
TOLD = {"keywords: reference, in brackets": "the whole reference is in it, and counts as found"}
POOR = "A group of people might possibly talk about some money at a later date."

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
}
