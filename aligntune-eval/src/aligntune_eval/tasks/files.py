"""Reads tasks from YAML and JSON files: one task, a list of them, or `tasks:` with a list.

The keys of a task are the fields of `EvalTask`. Everything wrong in a file is said at once, each
with its line and column.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.config.problems import in_order
from aligntune.config.sources import SUFFIXES, read_file
from aligntune.errors import ConfigError, Problem, did_you_mean
from aligntune.evaluation import EvalTask
from aligntune.evaluation.task_checks import task_problems

if TYPE_CHECKING:
    from aligntune.config.sources import Document

__all__ = ["is_file", "is_of_harness", "read_tasks"]

# Keys by which a file is one of lm-eval: no field of ours is called like one of them.
_OF_HARNESS = {
    "doc_to_text", "doc_to_target", "output_type", "dataset_path", "metric_list", "group", "include"
}  # fmt: skip
# What other tools call a field.
_ELSEWHERE = {
    "task": "name",
    "dataset_path": "dataset",
    "dataset_name": "subset",
    "test_split": "split",
    "doc_to_text": "prompt",
    "doc_to_target": "reference",
    "doc_to_choice": "choices",
    "process_docs": "processing_fn",
    "description": "system_prompt",
    "num_shots": "num_fewshot",
    "few_shot": "num_fewshot",
    "fewshot": "num_fewshot",
    "limit": "max_samples",
    "until": "stop",
    "max_gen_toks": "max_new_tokens",
    "max_tokens": "max_new_tokens",
    "repeats": "num_samples",
    "apply_chat_template": "chat",
    "metric": "metrics",
    "metric_list": "metrics",
}


def is_file(name: str) -> bool:
    """Whether a name means a file of tasks."""
    return Path(name).suffix.lower() in SUFFIXES


def is_of_harness(path: str | Path) -> bool:
    """Whether a file is a task, or a group of tasks, in the form of lm-eval.

    It may hold tags such as `!function`, so it is looked at without making values of it.
    """
    import yaml

    try:
        node = yaml.compose(Path(path).read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return False  # whoever reads it next says what is wrong
    if not isinstance(node, yaml.MappingNode):
        return False
    return any(key.value in _OF_HARNESS for key, _ in node.value)


def read_tasks(path: str | Path) -> list[EvalTask]:
    """The tasks of a file, in its order.

    Raises:
        ConfigError: if it cannot be read, or something in it is wrong; names every place.
    """
    document = read_file(path, listed=True)
    problems = list(document.problems)
    given = _entries(document, problems)
    for prefix, values in given.items():
        problems.extend(_placed(problem, prefix, document) for problem in _problems(values))
    if problems:
        raise ConfigError(in_order(problems))
    return [EvalTask(**values) for values in given.values()]


def _entries(document: Document, problems: list[Problem]) -> dict[str, dict[str, Any]]:
    """Where each task stands in the file (`""`, `"0."`, `"tasks.0."`) -> its keys."""
    data = document.data
    prefix = ""
    if set(data) == {"tasks"}:
        prefix = "tasks."
        listed = data["tasks"]
        items = listed if isinstance(listed, list) else [listed]
        if not items:
            problems.append(Problem("tasks", "the list holds no task", document.place("tasks")))
        data = {str(index): item for index, item in enumerate(items)}
    elif not data or any(not key.isdecimal() for key in data):
        return {"": data}
    found: dict[str, dict[str, Any]] = {}
    for key, values in data.items():
        if isinstance(values, dict):
            found[f"{prefix}{key}."] = {str(name): value for name, value in values.items()}
        else:
            place = document.place(f"{prefix}{key}")
            problems.append(Problem(f"{prefix}{key}", "expected the keys of a task", place))
    return found


def _problems(values: dict[str, Any]) -> list[Problem]:
    """What is wrong with one task; paths are those within it."""
    known = {each.name: each for each in fields(EvalTask)}
    found = [
        Problem(name, "unknown key", hint=_hint(name, set(known)))
        for name in values
        if name not in known
    ]
    found += [
        Problem(name, "it is required and was not set")
        for name in ("name", "dataset", "metrics")
        if name not in values
    ]
    # A key without a value says nothing, which most fields cannot take.
    empty = {
        name
        for name, value in values.items()
        if value is None and name in known and known[name].default not in (None, MISSING)
    }
    found += [Problem(name, "it has no value; leave the key out, or set one") for name in empty]
    sound = {name: v for name, v in values.items() if name in known and name not in empty}
    return found + task_problems(sound)


def _hint(name: str, known: set[str]) -> str:
    if name in _ELSEWHERE:
        return f"here it is `{_ELSEWHERE[name]}`"
    return did_you_mean(name, known) or f"known here: {', '.join(sorted(known))}"


def _placed(problem: Problem, prefix: str, document: Document) -> Problem:
    path = f"{prefix}{problem.path}"
    return Problem(path, problem.message, document.place(path), problem.hint, problem.given)
