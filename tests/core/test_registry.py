"""Names to implementations: look-up, its errors, and targets that are imported when asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aligntune.errors import ConflictError, NotRegisteredError, PluginError
from aligntune.facts import AlgorithmFacts, RewardFacts
from aligntune.plugins import Plugins
from aligntune.registry import RUNTIME_OWNER, Entry, Owner, Registries, Registry, import_target

MINE = Owner("mine", "my-rewards", "1.0")
THEIRS = Owner("theirs", "their-rewards", "2.0")


def reward(name: str, owner: Owner = MINE, target: object = "json:dumps", **facts) -> Entry:
    return Entry("reward", name, target, RewardFacts("a summary", **facts), owner)


def algorithm(name: str, backend: str, owner: Owner = MINE) -> Entry:
    facts = AlgorithmFacts("s", backend=backend, kind="rl", data="prompt", parameters="m:T")
    return Entry("algorithm", name, "m:T", facts, owner)


@pytest.fixture
def rewards() -> Registry:
    registry = Registry("reward")
    registry.add(reward("politeness", aliases=("manners",)))
    registry.add(reward("brevity"))
    return registry


def test_names_aliases_and_owners_find_an_entry(rewards: Registry) -> None:
    entry = rewards.get("politeness")
    for name in ("manners", "mine:politeness", "mine:manners", "my-rewards:politeness"):
        assert rewards.get(name) is entry
    assert rewards.names() == ["brevity", "politeness"]
    with pytest.raises(NotRegisteredError):
        rewards.get("theirs:politeness")


def test_a_name_and_an_alias_of_two_owners_collide(rewards: Registry) -> None:
    rewards.add(reward("manners", THEIRS))
    with pytest.raises(ConflictError, match=r"my-rewards 1\.0 .*and their-rewards 2\.0"):
        rewards.get("manners")
    assert rewards.get("politeness").owner == MINE
    assert rewards.get("theirs:manners").owner == THEIRS


def test_an_algorithm_has_one_entry_per_backend() -> None:
    registry = Registry("algorithm")
    registry.add(algorithm("grpo", "slow"))
    registry.add(algorithm("grpo", "fast"))
    assert registry.get("grpo", backend="fast").facts.backend == "fast"
    with pytest.raises(PluginError, match="registers the algorithm 'grpo' twice"):
        registry.add(algorithm("grpo", "fast"))


def test_what_is_registered_at_run_time_may_be_replaced(rewards: Registry) -> None:
    rewards.add(reward("mood", RUNTIME_OWNER, target=len))
    rewards.add(reward("mood", RUNTIME_OWNER, target=max))
    assert rewards.get("mood").load() is max


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("politenes", "did you mean 'politeness'?"),
        ("politenes", "available: brevity, politeness"),
        ("acuracy", "did you mean 'accuracy'?"),
        ("accuracy", "it comes with aligntune-rewards: pip install aligntune-rewards"),
        ("zzz", "unknown reward 'zzz'"),
    ],
)
def test_a_name_that_is_not_there(rewards: Registry, name: str, says: str) -> None:
    with pytest.raises(NotRegisteredError) as caught:
        rewards.get(name)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "install"),
    [
        ("backend", "pip install aligntune-trl or pip install aligntune-unsloth"),
        ("algorithm", "pip install aligntune-trl"),
        ("reward", "pip install aligntune-rewards"),
        ("evaluator", "pip install aligntune-eval"),
    ],
)
def test_with_nothing_installed_the_command_that_brings_something(kind: str, install: str) -> None:
    with pytest.raises(NotRegisteredError) as caught:
        Registry(kind).get("nothing_like_it")
    assert f"no {kind} is installed" in str(caught.value)
    assert install in str(caught.value)


def test_a_failed_plugin_is_named_where_something_is_missed(make_dist, discover) -> None:
    make_dist("broken", "raise RuntimeError('no licence')", version="3.1")
    plugins: Plugins = discover("broken")
    with pytest.raises(NotRegisteredError) as caught:
        plugins.find(plugins.rewards, "politeness")
    assert "plugin 'broken' of broken 3.1 is failed (RuntimeError: no licence)" in str(caught.value)


def test_a_target_is_imported_when_it_is_asked_for(make_dist, discover, site: Path) -> None:
    (site / "lazy_target.py").write_text("class Box:\n    score = staticmethod(len)\n")
    make_dist(
        "lazy",
        "@hookimpl\ndef aligntune_register_rewards(register):\n"
        "    register('size', 'lazy_target:Box.score', summary='s')\n",
    )
    plugins = discover("lazy")
    entry = plugins.find(plugins.rewards, "size")
    assert "lazy_target" not in sys.modules
    assert entry.load() is len


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no_such_module_anywhere:f", "No module named 'no_such_module_anywhere'"),
        ("json:no_such_function", "no_such_function"),
        ("json", "write it as 'package.module:name'"),
        ("", "write it as 'package.module:name'"),
        (":", "write it as 'package.module:name'"),
        (".json:dumps", ".json"),
        ("bad_target:f", "ZeroDivisionError"),
        ("exits_target:f", "sys.exit"),
    ],
)
def test_a_target_that_cannot_be_imported_names_who_said_it(
    target: str, says: str, site: Path
) -> None:
    (site / "bad_target.py").write_text("1 / 0")
    (site / "exits_target.py").write_text("raise SystemExit(1)")
    entry = reward("broken", target=target)
    with pytest.raises(PluginError) as caught:
        entry.load()
    assert "reward 'broken' of my-rewards 1.0" in str(caught.value)
    assert says in str(caught.value)


def test_a_target_that_is_no_string_is_itself() -> None:
    assert import_target(len, "somebody") is len


def test_a_provider_that_is_there_and_silent_is_no_reason_to_install_it() -> None:
    said = Registries().backends.missing("trl", {"aligntune-trl": "plugin 'trl' is disabled"})
    assert "plugin 'trl' is disabled" in said
    assert "pip install" not in said
    assert "pip install aligntune-trl" in Registries().backends.missing("trl")
