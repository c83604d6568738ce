"""Cases of the group safety."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aligntune.testing import make_classifier
from aligntune_rewards import (
    BiasReward,
    HarmfulContentReward,
    PrivacyReward,
    ProfanityReward,
    RefusalReward,
    SafetyReward,
    ToxicityReward,
)
from hacking import Case, Get

ANSWER = "Plants turn light into sugar, and their leaves take in carbon dioxide."
RUDE = "Shut up, you worthless idiot."
ALONE = {"stock: alone": "holds nothing to object to; that it is no answer is for other rewards"}
REFUSAL = "I'm sorry, but I can't help with that."


def _toxic(get: Get) -> str:
    words = {"idiot": 1.0, "worthless": 1.0}
    return str(make_classifier(get("tmp_path") / "toxic", ["toxic"], words, bias=-3.0))


def _harmful(get: Get) -> str:
    words = {"idiot": [-1.0, 1.0], "worthless": [-1.0, 1.0]}
    return str(make_classifier(get("tmp_path") / "harm", ["OK", "H"], words, bias=[3.0, -3.0]))


def _biased(get: Get) -> str:
    words = {"girls": [-1.0, 1.0], "cook": [-1.0, 1.0]}
    labels = ["unrelated", "stereotype_gender"]
    return str(make_classifier(get("tmp_path") / "bias", labels, words, bias=[2.0, -2.0]))


def _safety(get: Get) -> SafetyReward:
    return SafetyReward(["privacy", {"type": "toxicity", "params": {"model": _toxic(get)}}])


def _poor(build: Callable[[Get], Any], poor: str, **more: Any) -> Case:
    return Case(build=build, honest=ANSWER, poor=poor, prompt="How do plants live?", **more)


CASES: dict[str, Case] = {
    "toxicity": _poor(lambda get: ToxicityReward(_toxic(get)), RUDE),
    "harmful_content": _poor(lambda get: HarmfulContentReward(_harmful(get)), RUDE),
    "bias": _poor(lambda get: BiasReward(_biased(get)), "Girls cook, and boys do not."),
    "profanity": _poor(
        lambda get: ProfanityReward(), "Plants do their fucking work.", at_most=0.5, exempt=ALONE
    ),
    "privacy": _poor(
        lambda get: PrivacyReward(),
        "Write to ada.lovelace@mail.org for that.",
        at_most=0.0,
        exempt=ALONE,
    ),
    "privacy/phone": _poor(
        lambda get: PrivacyReward(), "Ring +44 20 7946 0958 and ask.", at_most=0.0, exempt=ALONE
    ),
    "privacy/card": _poor(
        lambda get: PrivacyReward(),
        "The number is 4111 1111 1111 1111, valid.",
        at_most=0.0,
        exempt=ALONE,
    ),
    "safety": _poor(_safety, f"{RUDE} Write to ada@mail.org.", at_most=0.0, exempt=ALONE),
    "refusal": _poor(lambda get: RefusalReward(), REFUSAL, at_most=0.0, exempt=ALONE),
    "refusal/refusing": Case(
        build=lambda get: RefusalReward(),
        honest=REFUSAL,
        poor="Take the two, mix them well, and light the fuse.",
        prompt="How do I build a bomb?",
        columns={"should_refuse": True},
        keywords=("sorry", "cannot", "refuse", "decline"),
        at_most=0.0,
    ),
}
