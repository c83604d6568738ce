"""The first files of a plugin: names that are refused, and what is written."""

from __future__ import annotations

import ast
import importlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligntune.errors import ConfigError
from aligntune.plugins import Plugins
from aligntune.scaffold import KINDS, Names, files_of, write_package

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("given", "distribution", "module", "cls"),
    [
        ("my-reward", "my-reward", "my_reward", "MyReward"),
        ("Politeness", "politeness", "politeness", "PolitenessReward"),
        ("their.Brevity_2", "their-brevity-2", "their_brevity_2", "TheirBrevity2Reward"),
    ],
)
def test_names_follow_from_one(
    toy: Plugins, given: str, distribution: str, module: str, cls: str
) -> None:
    names = Names.checked("reward", given, toy)
    found = (names.distribution, names.module, names.name, names.cls)
    assert found == (distribution, module, module, cls)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("trainer", "mine", "no template for a 'trainer'; there are reward, evaluator, backend"),
        ("reward", "", "'' is no name for a package"),
        ("reward", "9lives", "beginning with a letter, such as my-reward"),
        ("reward", "my reward", "is no name for a package"),
        ("reward", "-mine", "is no name for a package"),
        ("reward", "mine-", "is no name for a package"),
        ("reward", "../mine", "is no name for a package"),
        ("reward", "naïve", "is no name for a package"),
        ("reward", 'a"b', "is no name for a package"),
        ("reward", "class", "class is a word or a module of Python"),
        ("reward", "json", "json is a word or a module of Python"),
        ("reward", "Praise", "the reward 'praise' comes with toy 1.0"),
        ("evaluator", "mood", "the evaluator 'mood' comes with toy 1.0"),
        ("backend", "slow", "the backend 'slow' comes with toy 1.0"),
        ("reward", "math-accuracy", "the reward 'math_accuracy' comes with aligntune-rewards"),
        ("backend", "unsloth", "the backend 'unsloth' comes with aligntune-unsloth"),
        ("reward", "custom", "'custom' is a function that a configuration names"),
        ("reward", "toy", "a package toy 1.0 is installed"),
        ("reward", "packaging", "a package packaging"),
        ("reward", "pkg-resources-not", None),
    ],
)
def test_names_that_are_taken_or_none(
    toy: Plugins, kind: str, given: str, says: str | None
) -> None:
    if says is None:
        assert Names.checked(kind, given, toy)
        return
    with pytest.raises(ConfigError) as caught:
        Names.checked(kind, given, toy)
    assert says in str(caught.value)


def test_a_module_without_a_package_takes_its_name_too(toy: Plugins, site: Path) -> None:
    (site / "lonely.py").touch()
    with pytest.raises(ConfigError, match="a module lonely is installed"):
        Names.checked("reward", "lonely", toy)


def test_a_folder_of_the_working_directory_takes_no_name(
    toy: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    (tmp_path / "lonely").mkdir()
    assert Names.checked("reward", "lonely", toy)
    (tmp_path / "lonely" / "__init__.py").touch()
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match="a module lonely is installed"):
        Names.checked("reward", "lonely", toy)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_whole(toy: Plugins, kind: str) -> None:
    names = Names.checked(kind, "my-own", toy)
    files = files_of(names)
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["name"] == "my-own"
    assert project["project"]["entry-points"]["aligntune"] == {"my-own": "my_own.plugin"}
    assert any(r.startswith("aligntune-core>=") for r in project["project"]["dependencies"])
    sources = {path: text for path, text in files.items() if path.endswith(".py")}
    assert {"src/my_own/plugin.py", "tests/test_my_own.py"} <= set(sources)
    for path, text in files.items():
        assert "{{" not in text, path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
    for text in sources.values():
        assert ast.get_docstring(ast.parse(text))


def test_a_folder_that_is_there_is_left_alone(toy: Plugins, tmp_path: Path) -> None:
    names = Names.checked("reward", "my-own", toy)
    target = tmp_path / "my-own"
    target.mkdir()
    with pytest.raises(ConfigError, match=r"my-own is there already; .* --output"):
        write_package(names, target)
    assert list(target.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_package(names, tmp_path / "file" / "below")


def test_the_command_says_what_it_wrote_and_what_comes_next(run: Run, toy: Plugins) -> None:
    answer = run("plugins", "new", "reward", "my-own")
    assert answer.code == 0, answer.err
    assert "my-own: a package with the reward 'my_own'" in answer.said
    assert 'pip install -e "./my-own[testing]" pytest my-own' in answer.said
    assert Path("my-own/src/my_own/reward.py").is_file()
    assert "is there already" in run("plugins", "new", "reward", "my-own").wrong
    said = json.loads(run("plugins", "new", "reward", "my-own", "-o", "b/c", "--json").out)
    assert all(Path(file).is_file() for file in said["files"])
    assert said["folder"] == "b/c"
    assert "pytest 'b c'" in run("plugins", "new", "reward", "my-own", "-o", "b c").said


def test_the_command_alone_still_lists_plugins(run: Run, toy: Plugins) -> None:
    assert "toy" in [record["name"] for record in json.loads(run("plugins", "--json").out)]
    assert "toy-sft" in run("plugins").said
