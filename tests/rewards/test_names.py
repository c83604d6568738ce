"""Every built-in reward is known by its name wherever names are listed."""

from __future__ import annotations

from pathlib import Path

import aligntune.plugins
import aligntune_rewards
from aligntune.enums import RewardType
from aligntune.registry import PROVIDERS


def built_in() -> set[str]:
    rewards = aligntune.plugins.get().rewards
    return {entry.name for entry in rewards if entry.owner.distribution == "aligntune-rewards"}


def test_core_knows_who_brings_each_name() -> None:
    assert set(PROVIDERS["reward"]["aligntune-rewards"]) == built_in()


def test_each_name_is_in_the_enumeration() -> None:
    assert {each.value for each in RewardType} == built_in() | {"custom"}


def test_each_class_can_be_imported_and_is_typed() -> None:
    path = aligntune_rewards.__file__
    assert path is not None
    typed = Path(path + "i").read_text(encoding="utf-8")
    for name in dir(aligntune_rewards):
        assert getattr(aligntune_rewards, name).__name__ == name
        assert f" as {name}\n" in typed or f" as {name},\n" in typed
