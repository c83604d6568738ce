"""Tasks of files, of plugins and of lm-eval, by what a user names."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aligntune import EvalTask, TaskCategory
from aligntune.errors import AlignTuneError, ConfigError, PluginError, UnavailableError
from aligntune.facts import TaskFacts
from aligntune.plugins import Plugins, Register
from aligntune_eval import plugin
from aligntune_eval.tasks import HarnessTask, find_tasks, prepare_task
from aligntune_eval.tasks.files import read_tasks

ONE = """\
name: sums
category: math
dataset: sums.jsonl
prompt: "{{ a }}+{{ b }}="
metrics:
  - exact_match
  - {type: rouge, params: {name: words}}
stop: ["\\n"]
"""
SUMS = EvalTask(
    name="sums",
    category=TaskCategory.MATH,
    dataset="sums.jsonl",
    prompt="{{ a }}+{{ b }}=",
    metrics=["exact_match", {"type": "rouge", "params": {"name": "words"}}],
    stop=["\n"],
)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "tasks.yaml") -> str:
        Path(name).write_text(text)
        return name

    return write


def indented(text: str) -> str:
    return "- " + text.replace("\n", "\n  ").rstrip() + "\n"


@pytest.fixture
def registered(plugins: Plugins) -> Any:
    """`registered(**targets)`: the plugins, with tasks that another distribution brings."""

    def add(**targets: Any) -> Plugins:
        register = Register(plugins, plugins.tasks, TaskFacts)
        for name, target in targets.items():
            register(name, target, summary="s")
        return plugins

    return add


def test_a_file_holds_one_task_or_several(write: Any) -> None:
    two = indented(ONE) + indented(ONE.replace("name: sums", "name: more", 1))
    both = [SUMS, replace(SUMS, name="more")]
    assert read_tasks(write(ONE)) == [SUMS]
    assert read_tasks(write(two)) == both
    assert read_tasks(write("tasks:\n" + two)) == both
    values = {k: v for k, v in SUMS.as_dict().items() if v is not None}
    assert read_tasks(write(json.dumps([values]), "tasks.json")) == [SUMS]


WRONG: list[tuple[str, str, list[str]]] = [
    (
        ONE + "num_fewshots: 3\n",
        "tasks.yaml:9:1: num_fewshots: unknown key",
        ["did you mean 'num_fewshot'?"],
    ),
    (ONE + "limit: 3\n", "tasks.yaml:9:1: limit: unknown key", ["here it is `max_samples`"]),
    (ONE.replace("math", "maths"), "tasks.yaml:2:1: category: unknown category 'maths'", []),
    (ONE.replace("{{ b }}", "{{ b"), "tasks.yaml:4:1: prompt: it is no Jinja template", []),
    (
        ONE.replace("params: {name", "parms: {name"),
        "tasks.yaml:7:19: metrics.1.parms: a metric has the keys",
        ["parameters stand under `params`"],
    ),
    (ONE + "num_fewshot: -1\n", "tasks.yaml:9:1: num_fewshot: must be at least 0, not -1", []),
    (ONE + "seed:\n", "tasks.yaml:9:1: seed: it has no value", ["leave the key out"]),
    (ONE + "seed: 1\nseed: 2\n", "tasks.yaml:10:1: seed: the key stands here a second time", []),
    ("name: x\n", "2 problems", ["dataset: it is required", "metrics: it is required"]),
    (
        indented(ONE) + indented(ONE + "chat: 1"),
        "tasks.yaml:17:3: 1.chat: expected true or false, not 1",
        [],
    ),
    ("tasks:\n" + indented(ONE + "x: 1"), "tasks.yaml:10:3: tasks.0.x: unknown key", []),
    ("- sums\n", "tasks.yaml:1:3: 0: expected the keys of a task", []),
    ("tasks: sums\n", "tasks.0: expected the keys of a task", []),
    ("name: [\n", "this is not YAML", []),
    ("", "the file is empty", []),
]


@pytest.mark.parametrize(("text", "begins", "more"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_a_mistake_in_a_file_has_its_line(
    write: Any, text: str, begins: str, more: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_tasks(write(text))
    assert begins in str(caught.value)
    assert [part for part in more if part not in str(caught.value)] == []


def test_tasks_are_found_by_what_is_named(write: Any, registered: Any) -> None:
    plugins = registered(mine=replace(SUMS, name="mine"), made=lambda: replace(SUMS, name="made"))
    write(ONE)
    lm_eval = write("task: t\ndoc_to_text: !function utils.text\n", "theirs.yaml")
    Path("folder").mkdir()
    found = find_tasks(
        ["made", "tasks.yaml", "mine", "lm_eval:arc_easy", lm_eval, "folder"], plugins
    )
    assert [task.name for task in found] == ["made", "sums", "mine", "arc_easy", "theirs", "folder"]
    assert found[3:] == [
        HarnessTask("arc_easy"),
        HarnessTask("theirs", "theirs.yaml"),
        HarnessTask("folder", "folder"),
    ]


def test_one_name_twice_is_refused(write: Any, registered: Any) -> None:
    with pytest.raises(AlignTuneError, match="the task 'sums' is named twice"):
        find_tasks([write(ONE), "sums"], registered(sums=SUMS))


def test_files_of_lm_eval_are_not_told_apart_by_their_names(write: Any, plugins: Plugins) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        write(f"task: of_{folder}\ndataset_path: json\n", f"{folder}/task.yaml")
    assert len(find_tasks(["a/task.yaml", "b/task.yaml"], plugins)) == 2


def test_a_folder_does_not_hide_a_registered_task(write: Any, registered: Any) -> None:
    Path("sums").mkdir()
    plugins = registered(sums=SUMS)
    assert find_tasks(["sums"], plugins) == [SUMS]
    assert find_tasks(["./sums"], plugins) == [HarnessTask("sums", "./sums")]


def test_a_name_that_nothing_brings(registered: Any, plugins: Plugins) -> None:
    registered(sums=SUMS)
    with pytest.raises(AlignTuneError) as caught:
        find_tasks(["sum"], plugins)
    assert "unknown task 'sum'; did you mean 'sums'?" in str(caught.value)
    assert "a task of lm-eval is written lm_eval:sum" in str(caught.value)
    with pytest.raises(AlignTuneError, match=r"gsm8k\.yml: there is no such file of tasks"):
        find_tasks(["gsm8k.yml"], plugins)


def broken() -> EvalTask:
    raise KeyError("rows")


TARGETS: list[tuple[Any, str]] = [
    ({"name": "bad"}, "is no EvalTask, and no function that returns one: {'name': 'bad'}"),
    (dict, "is no EvalTask, and no function that returns one: {}"),
    (SUMS, "is an EvalTask called 'sums'; the names must agree"),
    (broken, "KeyError: 'rows'"),
    ("no_such_module:TASK", "cannot be imported"),
]


@pytest.mark.parametrize(("target", "said"), TARGETS, ids=["dict", "class", "name", "raises", "no"])
def test_a_broken_task_names_its_distribution(registered: Any, target: Any, said: str) -> None:
    with pytest.raises(PluginError) as caught:
        find_tasks(["bad"], registered(bad=target))
    assert said in str(caught.value)
    assert "task 'bad' of registered at run time" in str(caught.value)


def test_a_task_that_needs_a_package_says_how_to_install_it(plugins: Plugins) -> None:
    register = Register(plugins, plugins.tasks, TaskFacts)
    register("far", SUMS, summary="s", packages=("no-such-package>=1",), install="their[extra]")
    with pytest.raises(UnavailableError) as caught:
        find_tasks(["far"], plugins)
    assert "needs no-such-package>=1" in str(caught.value)
    assert 'pip install "their[extra]"' in str(caught.value)


def test_without_lm_eval_its_tasks_name_the_extra(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(UnavailableError) as caught:
        prepare_task(HarnessTask("arc_easy"), plugins)
    assert str(caught.value).startswith("lm_eval:arc_easy is a task of lm-eval, which is not")
    assert 'pip install "aligntune-eval[lm-eval]"' in str(caught.value)


def test_what_a_task_of_lm_eval_says_itself_cannot_be_set(plugins: Plugins) -> None:
    with pytest.raises(AlignTuneError, match="`temperature` cannot be set for lm_eval:arc_easy"):
        prepare_task(HarnessTask("arc_easy"), plugins, changes={"temperature": 1.0})


def test_facts_of_the_tasks_here_are_those_of_the_tasks(plugins: Plugins) -> None:
    plugin.aligntune_register_tasks(Register(plugins, plugins.tasks, TaskFacts))
    for task in find_tasks(plugins.tasks.names(), plugins):
        assert isinstance(task, EvalTask)
        facts = plugins.tasks.get(task.name).facts
        assert (facts.summary, facts.category) == (task.description, task.category.value)
