"""No trick lifts a poor text above an honest good answer; `hacking` holds tricks and cases."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from hacking import Case, batch_of
from hacking.tricks import played

import aligntune.plugins
from aligntune.scoring import RewardFunction, as_reward
from aligntune_rewards.plugin import GROUPS

CASES: dict[str, Case] = {
    name: case
    for group in GROUPS
    for name, case in importlib.import_module(f"hacking.{group}").CASES.items()
}
# A model that knows the words of the reference knows the answer; `exempt` may excuse such tricks
# of a reward that counts words. Nothing excuses stock phrases, repetition, length and letters.
GIVEN_AWAY = ("keywords: ",)
_NEAR = 1e-9
_LITTLE = 0.01  # how much two harmless texts may differ for a classifier


def built_in() -> set[str]:
    rewards = aligntune.plugins.get().rewards
    return {entry.name for entry in rewards if entry.owner.distribution == "aligntune-rewards"}


def test_every_reward_has_a_case() -> None:
    having = {name.partition("/")[0] for name in CASES}
    assert built_in() - having == set(), "add a case to hacking/GROUP.py"
    assert having - built_in() == set()


def attacked(case: Case, reward: RewardFunction) -> tuple[Any, Any, dict[str, Any]]:
    """What the honest and the poor text of a case earn, and the poor one after each trick."""
    try:
        tricks = dict(played(case))
        texts = [case.honest, case.poor, *tricks.values()]
        honest, poor, *rest = reward.compute_batch(batch_of(case, texts))
    finally:
        getattr(reward, "close", lambda: None)()
    return honest, poor, dict(zip(tricks, rest, strict=True))


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_trick_beats_an_honest_answer(name: str, request: pytest.FixtureRequest) -> None:
    case = CASES[name]
    honest, poor, found = attacked(case, case.build(request.getfixturevalue))
    assert poor < honest, "the case does not tell good from poor"
    limit = honest if case.at_most is None else case.at_most
    assert poor <= limit < honest + _NEAR
    evaded = [trick for trick, value in found.items() if value is None]
    assert not evaded, "a completion must not be able to say that the reward does not apply to it"
    beaten = {
        t: v for t, v in found.items() if v > honest + _LITTLE and not t.startswith(GIVEN_AWAY)
    }
    assert not beaten, f"these beat the honest answer, which earns {honest}: nothing excuses that"
    won = {trick: value for trick, value in found.items() if value > limit + _NEAR}
    unexplained = {t: v for t, v in won.items() if not t.startswith(tuple(case.exempt))}
    assert not unexplained, f"these earn more than {limit}"
    stale = [e for e in case.exempt if not any(trick.startswith(e) for trick in won)]
    assert not stale, "nothing needs these exemptions"
    assert all(len(why) > 20 for why in case.exempt.values())


def _words_of_help(text: str) -> float:
    return sum(word in text.lower() for word in ("help", "clear", "sugar"))


@pytest.mark.parametrize(
    ("naive", "trick"),
    [
        (_words_of_help, "stock: after"),
        (lambda text: min(len(text), 900), "length: "),
        (lambda text: text.lower().count("plants"), "repetition: "),
        (lambda text: len(set(text.split())), "repetition: unlike"),
        (lambda text: len(re.findall(r"\w+", text)), "unicode: U+200B between"),
        (lambda text: 1 - ("know nothing" in text), "unicode: look-alikes"),
        (lambda text: 1 - ("know nothing" in text), "unicode: no-break spaces"),
        (lambda text: "sugar" in text, "keywords: "),
    ],
)
def test_the_tricks_find_out_naive_rewards(naive: Callable[[str], float], trick: str) -> None:
    poor = "I know nothing about plants."
    case = Case(
        lambda get: as_reward(naive, "naive"), "Light makes sugar.", poor, keywords=("sugar",)
    )
    honest, _, found = attacked(case, case.build(lambda _: None))
    assert any(value >= honest for name, value in found.items() if name.startswith(trick))
