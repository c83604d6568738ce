"""The page about a first reward plugin, followed in an empty folder, with AlignTune from wheels."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fresh import ROOT, Environment, build_wheels, lending_environment
from snippets import Reader, environment_for, snippets

PAGE = ROOT / "docs" / "first-reward-plugin.md"
# The first block installs from an index what is there from wheels.
NOT_RUN = ("pip install aligntune-trl",)


def followed_in(environment: Environment) -> dict[str, str]:
    """Variables with which `pip`, `pytest` and `aligntune` are those of the environment."""
    bin_ = environment.path / "bin"
    for name in ("pip", "pytest"):
        script = bin_ / name
        script.write_text(f'#!/bin/sh\nexec "{bin_}/python" -m {name} "$@"\n')
        script.chmod(0o755)
    variables = environment_for(environment.path)
    del variables["PIP_TARGET"]
    return variables | {
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "",
        "PIP_NO_WARN_SCRIPT_LOCATION": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    wheels = build_wheels(
        tmp_path_factory.mktemp("wheels"), [ROOT / f"aligntune-{name}" for name in ("core", "trl")]
    )
    made = lending_environment(tmp_path_factory.mktemp("first"))
    made.pip("install", "--no-compile", "--no-deps", *wheels.values())
    return made


def test_the_page_leads_from_an_empty_folder_to_a_run(
    environment: Environment, tmp_path: Path
) -> None:
    reader = Reader(tmp_path, followed_in(environment))
    assert list(tmp_path.iterdir()) == []
    for snippet in snippets(PAGE):
        if not snippet.text.startswith(NOT_RUN):
            reader.follow(snippet)
    run = tmp_path / "run"
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    used = {p["name"]: p for p in json.loads((run / "plugins.json").read_text())}
    assert used["closeness"]["provides"] == {"reward": ["closeness"]}
    assert used["closeness"]["source"].endswith("dist/closeness-0.1.0-py3-none-any.whl")
    assert set(used) == {"closeness", "trl"}
