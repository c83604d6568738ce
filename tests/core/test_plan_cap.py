"""The environment variable that caps the steps of any run, in the plan."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from aligntune.config import load_config
from aligntune.errors import ConfigError
from aligntune.plan import Value, make_plan, resolved_values
from aligntune.plan.parameters import Ours, ParameterTable

VARIABLE = "ALIGNTUNE_MAX_STEPS"
PATH = "train.stop_after_steps"
SFT: dict[str, Any] = {"algorithm": "toy-sft", "model": "m", "dataset": "d", "batch_size": 2}
pytestmark = pytest.mark.usefixtures("toy")


def stop(**more: Any) -> Value:
    values = {value.path: value for value in make_plan(load_config({**SFT, **more})).values}
    return values[PATH]


@pytest.fixture(autouse=True)
def _stops(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's trainer stops where it is told."""
    import toy as plugin

    uses = {**plugin.TABLE.uses, PATH: Ours("the trainer stops there")}
    monkeypatch.setattr(plugin, "TABLE", ParameterTable(uses))


def test_unset_it_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert (stop().value, stop().origin) == (None, "default")


def test_it_caps_whatever_the_configuration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "2")
    for more in ({}, {"stop_after_steps": 9}):
        found = stop(**more)
        assert (found.value, found.origin) == (2, f"environment variable {VARIABLE}")


def test_it_never_makes_a_run_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "9")
    config = load_config({**SFT, "stop_after_steps": 3})
    found = stop(stop_after_steps=3)
    assert found.value == 3
    assert VARIABLE not in found.origin
    assert config.train.stop_after_steps == 3


def test_the_configuration_itself_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "2")
    config = load_config(SFT)
    make_plan(config)
    assert config.train.stop_after_steps is None
    assert "stop_after_steps" not in config.explicit().get("train", {})
    assert "stop_after_steps" not in config.train.model_fields_set


def test_the_resolved_configuration_gives_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "2")
    written = yaml.safe_dump(resolved_values(make_plan(load_config(SFT)))[0])
    monkeypatch.delenv(VARIABLE)
    again = make_plan(load_config(yaml.safe_load(written)))
    assert again.config.train.stop_after_steps == 2


@pytest.mark.parametrize("given", ["", "0", "-1", "two", "1.5", "²"])
def test_anything_but_a_positive_whole_number_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(ConfigError, match=rf"{VARIABLE} is '.*', no number of steps") as raised:
        stop()
    assert f"{VARIABLE}=2" in str(raised.value)


def test_a_trainer_that_cannot_stop_refuses_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import toy as plugin

    uses = {path: use for path, use in plugin.TABLE.uses.items() if path != PATH}
    monkeypatch.setattr(plugin, "TABLE", ParameterTable(uses))
    monkeypatch.setenv(VARIABLE, "2")
    with pytest.raises(ConfigError, match=f"{PATH}: 2 would not be used"):
        stop()
