"""A name that is gone: the record of a run says what brought it, and how to have it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aligntune.config import load_config
from aligntune.errors import NotRegisteredError
from aligntune.plan import make_plan
from aligntune.plugins import Plugins

GONE = {"name": "brevity", "distribution": "their-brevity", "version": "1.2"}


def message(given: Any, plugins: Plugins, **more: Any) -> str:
    values = {"algorithm": "toy-rl", "model": "m", "dataset": "d", "rewards": ["brevity"]}
    config = load_config(given if given is not None else {**values, **more})
    with pytest.raises(NotRegisteredError) as caught:
        make_plan(config, plugins=plugins)
    return str(caught.value)


def record(folder: Path, **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    provides = {"provides": {"reward": ["brevity"]}}
    (folder / "plugins.json").write_text(json.dumps([{**GONE, **provides, **more}]))
    return folder


def test_without_a_record_it_says_how_names_come_to_be(toy: Plugins, tmp_path: Path) -> None:
    said = message(None, toy, output_dir=str(tmp_path / "run"))
    assert "rewards.0.type: unknown reward 'brevity'; available: praise" in said
    assert "pip install PACKAGE" in said
    assert "had it from" not in said


def test_the_run_directory_says_what_brought_it(toy: Plugins, tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    said = message(None, toy, output_dir=str(run))
    assert (
        f'the run in {run} had it from their-brevity 1.2: pip install "their-brevity==1.2"' in said
    )


def test_a_name_with_its_owner_is_found_under_that_owner_alone(
    toy: Plugins, tmp_path: Path
) -> None:
    run = str(record(tmp_path / "run"))
    for owner in ("brevity", "their-brevity"):
        said = message(None, toy, rewards=[f"{owner}:brevity"], output_dir=run)
        assert 'pip install "their-brevity==1.2"' in said
    assert "had it from" not in message(None, toy, rewards=["other:brevity"], output_dir=run)


def test_a_file_that_is_still_there_is_named(toy: Plugins, tmp_path: Path) -> None:
    wheel = tmp_path / "their_brevity-1.2-py3-none-any.whl"
    run = str(record(tmp_path / "run", source=wheel.as_uri()))
    assert 'pip install "their-brevity==1.2"' in message(None, toy, output_dir=run)
    wheel.touch()
    assert f'pip install "{wheel.as_uri()}"' in message(None, toy, output_dir=run)


def test_another_version_that_is_installed_is_said(
    toy: Plugins, tmp_path: Path, make_dist: Any
) -> None:
    make_dist("their-brevity", "", version="2.0")
    run = str(record(tmp_path / "run"))
    said = message(None, toy, output_dir=run)
    assert "their-brevity 2.0 is installed, and brings it no more: pip install" in said


def test_a_resolved_configuration_is_known_by_the_run_that_it_lies_in(
    toy: Plugins, tmp_path: Path
) -> None:
    run = record(tmp_path / "moved")
    file = run / "config.yaml"
    file.write_text("algorithm: toy-rl\nmodel: m\ndataset: d\nrewards: [brevity]\noutput_dir: x\n")
    assert f"the run in {run} had it from" in message(str(file), toy)


@pytest.mark.parametrize("text", ["{", "[1, null]", "[]", '{"a": 1}', "\x00"])
def test_a_record_that_cannot_be_read_is_passed_over(
    toy: Plugins, tmp_path: Path, text: str
) -> None:
    (tmp_path / "plugins.json").write_text(text)
    assert "unknown reward 'brevity'" in message(None, toy, output_dir=str(tmp_path))
