"""No trick lifts a poor text above an honest good answer; `hacking` holds tricks and cases."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hacking import Case, batch_of
from hacking.tricks import played

import aligntune.plugins
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


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_trick_beats_an_honest_answer(name: str, request: pytest.FixtureRequest) -> None:
    case = CASES[name]
    reward = case.build(request.getfixturevalue)
    try:
        tricks = dict(played(case))
        texts = [case.honest, case.poor, *tricks.values()]
        values: list[Any] = list(reward.compute_batch(batch_of(case, texts)))
    finally:
        getattr(reward, "close", lambda: None)()
    honest, poor, *rest = values
    assert poor < honest, "the case does not tell good from poor"
    limit = honest if case.at_most is None else case.at_most
    assert poor <= limit < honest + _NEAR
    found = dict(zip(tricks, rest, strict=True))
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
