"""Discovery from installed metadata: what loads, what fails, and that one never breaks another."""

from __future__ import annotations

from pathlib import Path

import pytest

from aligntune import plugins as process_plugins
from aligntune.errors import ConflictError, NotRegisteredError, PluginError
from aligntune.plugins import PluginRecord, Plugins, Switches

GOOD = """
@hookimpl
def aligntune_register_rewards(register):
    register("politeness", "good_target:score", summary="how polite it is")
"""
MARKS = "import pathlib; pathlib.Path({path!r}).write_text('imported')\n"


def record(plugins: Plugins, name: str) -> PluginRecord:
    (found,) = [r for r in plugins.records if r.owner.name == name]
    return found


def test_an_installed_plugin_is_loaded_and_says_what_it_provides(make_dist, discover, site) -> None:
    make_dist("good", GOOD, version="1.2")
    (site / "good_target.py").write_text("def score(completions): return [1.0] * len(completions)")
    plugins = discover("good")
    assert record(plugins, "good").as_dict() == {
        "name": "good",
        "distribution": "good",
        "version": "1.2",
        "status": "loaded",
        "reason": "",
        "provides": {"reward": ["politeness"]},
    }
    entry = plugins.find(plugins.rewards, "politeness")
    assert str(entry.owner) == "good 1.2"
    assert entry.facts.summary == "how polite it is"
    assert entry.load()(["please"]) == [1.0]


# Every way in which a manifest can go wrong, and what is said of it.
BROKEN = {
    "raises on import": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "ends the process": ("import sys; sys.exit('bye')", "it called sys.exit('bye')"),
    "asserts on import": ("assert 1 == 2, 'arithmetic'", "arithmetic"),
    "lacks a package": ("import not_installed_anywhere", "No module named 'not_installed"),
    "is no Python": ("def (", "SyntaxError"),
    "raises in its hook": (
        GOOD.replace("politeness", "half") + "    raise ValueError('half way')\n",
        "ValueError: half way",
    ),
    "ends the process in its hook": (GOOD + "    raise SystemExit(3)\n", "it called sys.exit(3)"),
    "asserts in its hook": (GOOD + "    assert False\n", "AssertionError"),
    "knows a hook that is none": (
        GOOD + "@hookimpl\ndef aligntune_register_reward(register): pass\n",
        "unknown hook 'aligntune_register_reward'",
    ),
    "asks for an argument that is none": (
        "@hookimpl\ndef aligntune_register_rewards(registry): pass\n",
        "registry",
    ),
    "gives a fact that is none": (GOOD.replace("summary", "sumary"), "sumary"),
    "registers a name twice": (
        GOOD + "    register('politeness', 'x:y', summary='again')\n",
        "registers the reward 'politeness' twice",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_listed_and_rolled_back_and_the_others_work(
    case: str, make_dist, discover
) -> None:
    source, reason = BROKEN[case]
    make_dist("broken", source)
    make_dist("good", GOOD)
    plugins = discover("good", "broken")
    assert record(plugins, "broken").status == "failed"
    assert reason in record(plugins, "broken").reason
    assert record(plugins, "good").status == "loaded"
    assert [(e.name, e.owner.name) for e in plugins.rewards] == [("politeness", "good")]
    assert plugins.current_owner.name == "runtime"


def test_a_plugin_that_fails_in_a_life_cycle_hook_is_named(make_dist, discover) -> None:
    make_dist("late", "@hookimpl\ndef aligntune_run_finished(run): raise ValueError('no disk')\n")
    plugins = discover("late")
    with pytest.raises(
        PluginError, match=r"'late' of late 1\.0 failed in aligntune_run_finished: .*no disk"
    ):
        plugins.call("aligntune_run_finished", run="run")


def test_a_hook_without_its_marker_is_no_silent_nothing(make_dist, discover) -> None:
    make_dist("unmarked", "def aligntune_register_rewards(register): pass\n")
    (record,) = [r for r in discover("unmarked").records if r.owner.name == "unmarked"]
    assert record.status == "failed"
    assert "aligntune_register_rewards is not marked with @hookimpl" in record.reason


def test_a_failed_plugin_gets_no_life_cycle_calls(make_dist, discover) -> None:
    hook = "@hookimpl\ndef aligntune_run_finished(run): run.append(__name__)\n"
    make_dist("good", hook)
    make_dist("broken", GOOD + "    raise ValueError\n" + hook)
    called: list[str] = []
    discover("good", "broken").call("aligntune_run_finished", run=called)
    assert called == ["good_manifest"]


def test_another_core_major_is_refused_without_importing(
    make_dist, discover, tmp_path: Path
) -> None:
    for name, requires in (
        ("newer", "aligntune-core>=9,<10"),
        ("older", "aligntune-core<0.1"),
        ("elsewhere", "aligntune-core>=9; python_version < '3'"),
    ):
        make_dist(name, MARKS.format(path=str(tmp_path / name)) + GOOD, requires=requires)
    plugins = discover("newer", "older", "elsewhere")
    assert record(plugins, "newer").status == "incompatible"
    assert 'pip install --upgrade "aligntune-core<10,>=9"' in record(plugins, "newer").reason
    assert record(plugins, "older").status == "incompatible"
    assert record(plugins, "older").reason.endswith("pip install --upgrade older")
    assert record(plugins, "elsewhere").status == "loaded"
    assert (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "newer").exists()
    assert not (tmp_path / "older").exists()


def test_two_owners_of_a_name(make_dist, discover) -> None:
    make_dist("one", GOOD)
    make_dist("two", GOOD, version="2.1")
    plugins = discover("one", "two")
    with pytest.raises(ConflictError) as caught:
        plugins.find(plugins.rewards, "politeness")
    for part in ("one 1.0", "two 2.1", "'one:politeness'", "'two:politeness'"):
        assert part in str(caught.value)
    assert plugins.find(plugins.rewards, "two:politeness").owner.version == "2.1"


def test_two_distributions_may_call_their_entry_points_the_same(make_dist, discover) -> None:
    make_dist("one", GOOD, entry="rewards")
    make_dist("two", GOOD, entry="rewards")
    plugins = discover("one", "two")
    assert [r.status for r in plugins.records if r.owner.name == "rewards"][-2:] == ["loaded"] * 2
    with pytest.raises(ConflictError, match=r"'one:politeness'.*'two:politeness'"):
        plugins.find(plugins.rewards, "politeness")
    assert plugins.find(plugins.rewards, "two:politeness").owner.distribution == "two"


def test_two_distributions_may_point_at_one_module(make_dist, discover) -> None:
    make_dist("one", GOOD, entry="same", module="shared_manifest")
    make_dist("two", GOOD, entry="same", module="shared_manifest")
    records = [r for r in discover("one", "two").records if r.owner.name == "same"]
    assert [(r.owner.distribution, r.status) for r in records] == [
        ("one", "loaded"),
        ("two", "failed"),
    ]


def test_the_same_distribution_twice_on_the_path_is_one(
    make_dist, discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second"
    make_dist("good", GOOD)
    make_dist("good", GOOD, into=second)
    monkeypatch.syspath_prepend(second)
    plugins = discover("good")
    assert record(plugins, "good").status == "loaded"
    assert plugins.rewards.names() == ["politeness"]


def test_a_plugin_installed_while_the_process_runs_is_found(make_dist, discover) -> None:
    plugins = discover("late")
    assert "politeness" not in plugins.rewards.names()
    make_dist("late", GOOD)
    assert plugins.find(plugins.rewards, "politeness").owner.name == "late"
    assert plugins.discover() == []


OFF = {
    "the API, by entry point": ({"without": ["polite"]}, {}),
    "the API, by distribution": ({"without": ["Polite.Rewards"]}, {}),
    "the API, not on the allow-list": ({"only": ["other"]}, {}),
    "the environment, by entry point": ({}, {"ALIGNTUNE_DISABLE_PLUGINS": "other, polite"}),
    "the environment, by distribution": ({}, {"ALIGNTUNE_DISABLE_PLUGINS": "polite_rewards"}),
    "the environment's allow-list": ({}, {"ALIGNTUNE_PLUGINS": "other"}),
    "an empty allow-list": ({}, {"ALIGNTUNE_PLUGINS": ""}),
    "one of two allow-lists": ({"only": ["polite"]}, {"ALIGNTUNE_PLUGINS": "other"}),
}


@pytest.mark.parametrize("case", OFF)
def test_off_switches_apply_before_import(
    case: str, make_dist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switches, variables = OFF[case]
    make_dist("polite-rewards", MARKS.format(path=str(tmp_path / "mark")) + GOOD, entry="polite")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    plugins = Plugins(Switches.make(**switches))
    found = record(plugins, "polite")
    assert (found.status, found.reason != "") == ("disabled", True)
    assert not (tmp_path / "mark").exists()
    with pytest.raises(NotRegisteredError, match=r"'polite' of polite-rewards 1.0 is disabled"):
        plugins.find(plugins.rewards, "politeness")


@pytest.mark.parametrize("name", ["polite", "polite_rewards", "Polite-Rewards"])
def test_an_allow_list_takes_either_name(name: str, make_dist, discover) -> None:
    make_dist("polite-rewards", GOOD, entry="polite")
    plugins = discover(name)
    assert {r.owner.name for r in plugins.records if r.status == "loaded"} == {"polite"}


def test_strict_raises_at_the_plugin_that_failed(
    make_dist, discover, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dist("broken", "raise RuntimeError('no licence')")
    with pytest.raises(PluginError, match=r"'broken' of broken 1\.0: RuntimeError: no licence"):
        discover("broken", strict=True)
    assert record(discover("broken"), "broken").status == "failed"
    monkeypatch.setenv("ALIGNTUNE_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="no licence"):
        discover("broken")


def test_configure_and_get_are_the_plugins_of_the_process(
    make_dist, no_plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dist("good", GOOD)
    assert process_plugins.get() is no_plugins
    configured = process_plugins.configure(only=["good"])
    assert process_plugins.get() is configured
    assert configured.rewards.names() == ["politeness"]
