"""docs/evaluation/tasks.md lists the tasks and the fields that there are."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from aligntune import EvalTask
from aligntune.facts import TaskFacts
from aligntune.plugins import Plugins, Register
from aligntune_eval import plugin
from aligntune_eval.tasks import find_tasks

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation" / "tasks.md").read_text()


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_table_of_tasks_is_that_of_the_tasks(plugins: Plugins) -> None:
    plugin.aligntune_register_tasks(Register(plugins, plugins.tasks, TaskFacts))
    tasks = find_tasks([entry.name for entry in plugins.tasks], plugins)
    lines = []
    for task in tasks:
        assert isinstance(task, EvalTask)
        subset = f", {task.subset}" if task.subset else ""
        metrics = ", ".join(f"`{metric}`" for metric in task.metrics)
        lines.append(
            f"| `{task.name}` | `{task.dataset}`{subset} | {task.num_fewshot} | {metrics} |"
        )
    assert re.findall(r"^\| `.*$", section("Tasks that are there"), re.MULTILINE) == lines


def test_the_table_of_fields_names_every_field_once() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", section("In Python"), re.MULTILINE)
    named = re.findall(r"`(\w+)`", " ".join(rows))
    assert sorted(named) == sorted(field.name for field in fields(EvalTask))
