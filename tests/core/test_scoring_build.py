"""From configuration entries to a scorer: names, custom rewards, packages, places in messages."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from aligntune import plugins as process_plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import (
    ConfigError,
    ConflictError,
    DataError,
    NotRegisteredError,
    PluginError,
    UnavailableError,
)
from aligntune.facts import RewardFacts
from aligntune.plugins import Plugins, Switches
from aligntune.registry import Entry, Owner
from aligntune.scoring import RewardBatch, RewardFunction, RewardRegistry, build_scorer


@dataclass
class Setting:
    type: str
    weight: float = 1.0
    params: dict[str, Any] = field(default_factory=dict)
    clip: Any = None
    shield: bool = False
    normalize: Any = False
    model_name: str | None = None
    device: str = "auto"
    cache_dir: str | None = None
    timeout: float | None = None


class Times(RewardFunction):
    """The length, times a factor."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def compute(self, text: str) -> float:
        return len(text) * self.factor


def same(text: str, reference: str) -> float:
    return float(text == reference)


def register(
    plugins: Plugins, name: str, target: object, owner: str = "mine", **facts: Any
) -> None:
    entry = Entry(
        "reward", name, target, RewardFacts("a test", **facts), Owner(owner, owner, "1.0")
    )
    plugins.rewards.add(entry)


@pytest.fixture
def plugins() -> Plugins:
    """Plugins with nothing installed, and a few rewards."""
    made = Plugins(Switches.make(only=()))
    register(made, "times", Times, aliases=("multiply",))
    register(made, "same", same, requires=("reference",))
    register(made, "broken", "no_such_module_here:Reward")
    register(made, "heavy", Times, packages=("no-such-package>=2",), install="mine[heavy]")
    register(made, "old", Times, packages=("pytest<1",), install="mine[old]")
    register(made, "ready", Times, packages=("pytest>=1", "gone; python_version < '3'"))
    register(made, "raises", "tests_raise_on_import:Reward")
    return made


def test_names_weights_params_and_reference(plugins: Plugins) -> None:
    scorer = build_scorer(
        [
            Setting("times", 2.0, {"factor": 3.0}, clip=[0, 10]),
            Setting("multiply"),
            Setting("same", 100, {"reference_column": "label"}),
            Setting("mine:times", 0.0),
        ],
        plugins,
        ["prompt", "label"],
    )
    assert [part.name for part in scorer.parts] == ["times", "times_2", "same", "times_3"]
    assert scorer(["p"], ["abcd"], label=["abcd"]) == [20.0 + 4.0 + 100.0]


def test_a_configuration_of_ours_is_what_it_takes(plugins: Plugins) -> None:
    configs = [RewardConfig(type="times", weight=0.5, clip=2.0)]
    assert build_scorer(configs, plugins)(["p"], ["abcdef"]) == [1.0]


@pytest.mark.parametrize(
    ("setting", "error", "says"),
    [
        (Setting("tims"), NotRegisteredError, "unknown reward 'tims'; did you mean 'times'"),
        (Setting("accuracy"), NotRegisteredError, "aligntune-rewards"),
        (Setting("time"), NotRegisteredError, "did you mean"),
        (Setting("broken"), PluginError, "reward 'broken' of mine 1.0 points at"),
        (Setting("heavy"), UnavailableError, r'no-such-package>=2.*: pip install "mine\[heavy\]"'),
        (Setting("old"), UnavailableError, "needs pytest<1, which is not installed"),
        (Setting("times", params={"facto": 1}), ConfigError, r"rewards\[0\]: .*it takes factor"),
        (Setting("times", clip=-1), ConfigError, r"rewards\[0\]: .*clip is -1"),
        (Setting("custom"), ConfigError, r"rewards\[0\]: a custom reward needs params.reward_f"),
        (Setting("custom", params={"reward_function": 3}), ConfigError, "is a int"),
        (
            Setting("times", params={"shield_threshold": 1}),
            ConfigError,
            r"rewards\[0\].params.shield_threshold: has no effect on reward 'times' without shield",
        ),
        (Setting("same"), DataError, "'same' needs a reference.*the columns are label, prompt"),
        (
            Setting("same", params={"reference_column": "gone"}),
            DataError,
            "names 'gone', which the data do not have; the columns are label, prompt",
        ),
    ],
)
def test_what_is_wrong_is_said(
    plugins: Plugins, setting: Setting, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        build_scorer([setting], plugins, ["prompt", "label"])


class Judged(Times):
    """A reward whose model is named by its parameters."""

    def __init__(self, model: str = "small", device: str = "auto", cache_dir: str = "") -> None:
        super().__init__()
        self.made_with = (model, device, cache_dir)


def test_fields_of_a_model_are_parameters_of_the_reward(plugins: Plugins) -> None:
    register(plugins, "judged", Judged)
    settings = [
        RewardConfig(type="judged", model_name="big", device="cpu", cache_dir="there"),
        RewardConfig(type="judged", model_name="big", params={"model": "big", "device": "cuda"}),
        RewardConfig(type="times", model_name=None, device="auto", cache_dir=None),
    ]
    parts = build_scorer(settings, plugins).parts
    found: list[Any] = [part.reward for part in parts]
    assert found[0].made_with == ("big", "cpu", "there")
    assert found[1].made_with == ("big", "cuda", "")
    with pytest.raises(ConfigError, match=r"rewards\[0\]: .*has no parameter 'device'; it takes f"):
        build_scorer([RewardConfig(type="times", device="cpu")], plugins)
    says = r"rewards\[0\]\.model_name: it is 'big', and params\.model is 'small'"
    with pytest.raises(ConfigError, match=says):
        build_scorer(
            [RewardConfig(type="judged", model_name="big", params={"model": "small"})], plugins
        )


def test_two_owners_of_a_name(plugins: Plugins) -> None:
    register(plugins, "times", Times, owner="theirs")
    with pytest.raises(ConflictError, match=r"mine 1.0.*theirs 1.0"):
        build_scorer([Setting("times")], plugins)
    assert build_scorer([Setting("theirs:times")], plugins)(["p"], ["ab"]) == [2.0]


def test_a_plugin_whose_reward_module_raises(
    plugins: Plugins, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests_raise_on_import.py").write_text("raise OSError('no disk')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    says = r"'raises' of mine 1\.0 points at .*, which cannot be imported: OSError: no disk"
    with pytest.raises(PluginError, match=says):
        build_scorer([Setting("raises")], plugins)


def test_packages_that_are_installed_or_not_for_this_python(plugins: Plugins) -> None:
    assert build_scorer([Setting("ready")], plugins)(["p"], ["ab"]) == [2.0]


def test_a_custom_reward_is_named_after_its_function(plugins: Plugins) -> None:
    def digits(text: str, at_least: int = 1) -> float:
        return float(sum(map(str.isdigit, text)) >= at_least)

    settings = [
        Setting("custom", 0.7, {"reward_function": digits, "at_least": 2}),
        Setting("custom", 0.3, {"reward_function": lambda text, reference=None, **kw: 1.0}),
        Setting("custom", 1.0, {"reward_function": "builtins:len"}),
    ]
    scorer = build_scorer(settings, plugins, [])
    assert [part.name for part in scorer.parts] == ["digits", "custom", "len"]
    assert scorer(["p", "q"], ["1", "12"]) == pytest.approx([1.3, 3.0])


def test_a_shield_takes_its_settings_from_params(plugins: Plugins) -> None:
    params = {"shield_threshold": 3, "shield_value": -2.0, "factor": 1.0}
    scorer = build_scorer([Setting("times", 1.0, params, shield=True)], plugins, [])
    assert scorer(["p", "q"], ["ab", "abc"]) == [-2.0, 3.0]


def test_the_registry_of_the_process() -> None:
    RewardRegistry.register_reward("custom", Times)
    try:
        reward = RewardRegistry.get_reward_function("custom", factor=2.0)
        assert reward.compute("abc") == 6.0
        assert "custom" in RewardRegistry.list_rewards()
        RewardRegistry.register_reward("custom", same)
        again = RewardRegistry.get_reward_function("custom")
        assert again.compute_batch(RewardBatch(["a"], references=["a"])) == [1.0]
        entry = process_plugins.get().rewards.get("custom")
        assert entry.facts.summary == "registered at run time"
        with pytest.raises(
            NotRegisteredError, match="unknown reward 'custum'; did you mean 'custom'"
        ):
            RewardRegistry.get_reward_function("custum")
    finally:
        process_plugins.configure()


def test_importing_it_is_light() -> None:
    code = (
        "import sys, aligntune.scoring; "
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
