"""From what a user writes to the files that lm-eval needs for it, each of them read and checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError, NotRegisteredError, did_you_mean
from aligntune_eval.harness.files import Document, check_document, read_document
from aligntune_eval.harness.library import VERSION, task_folder
from aligntune_eval.harness.names import Listed, list_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PREFIX", "Found", "find"]

PREFIX = "lm_eval:"
_SUFFIXES = (".yaml", ".yml")


@dataclass
class Found:
    """What one name or path stands for.

    `name`: what results are called. `wanted`: names for lm-eval. `listed`: these and all that they
    name. `documents`: the files of the tasks and groups among them.
    """

    name: str
    wanted: list[str]
    listed: dict[str, Listed] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)


def find(name_or_path: str, *, trust_remote_code: bool) -> Found:
    """Find tasks, and check their files.

    Raises:
        NotRegisteredError: for a name that lm-eval does not have.
        EvaluationError: if there is no such file, or something in one is wrong or not allowed.
    """
    name = name_or_path.removeprefix(PREFIX)
    path = Path(name).expanduser()
    if name_or_path.startswith(PREFIX) or not _is_path(name, path):
        found = Found(name, [name])
        known: Mapping[str, Listed] = _names_of_lm_eval()
        if name not in known:
            raise NotRegisteredError(_unknown(name))
        look_up: Callable[[str], Listed | None] = known.get
    elif path.is_dir():
        beside = list_names(path.resolve())
        found = Found(path.resolve().name, _outermost(path, beside))
        look_up = _beside_or_lm_eval(beside)
    else:
        found, beside = _of_file(path)
        look_up = _beside_or_lm_eval(beside)
    for wanted in found.wanted:
        _gather(wanted, look_up, found)
    for document in found.documents.values():
        check_document(document, trust_remote_code=trust_remote_code)
    return found


def _is_path(name: str, path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES or os.sep in name or path.is_dir()


@cache
def _names_of_lm_eval() -> dict[str, Listed]:
    return list_names(task_folder())


def _unknown(name: str) -> str:
    known = sorted(_names_of_lm_eval())
    hint = did_you_mean(name, known)
    return (
        f"lm-eval {VERSION} has no task, group or tag {name!r}{f'; {hint}' if hint else ''}; "
        f"`lm-eval ls tasks` lists all {len(known)}"
    )


def _of_file(path: Path) -> tuple[Found, dict[str, Listed]]:
    """A file's task; or its group, whose tasks may stand in files beside it."""
    path = path.resolve()
    if not path.is_file():
        raise EvaluationError(f"there is no file or folder {path} of tasks of lm-eval")
    document = read_document(path)
    values = document.values
    group = "group" in values and "class" not in values
    name = values.get("group" if group else "task")
    if not isinstance(name, str) or not name:
        raise EvaluationError(f"{path} names neither a `task` nor a `group`")
    beside = list_names(path.parent) if group else {}
    kind: Any = "GROUP" if group else "PY_TASK" if "class" in values else "TASK"
    return Found(name, [name]), {**beside, name: Listed(kind, path)}


def _outermost(folder: Path, beside: Mapping[str, Listed]) -> list[str]:
    """The groups and tasks of a folder that no group of it holds."""
    inner: set[str] = set()
    for name, each in beside.items():
        if each.kind == "GROUP" and each.path is not None:
            for member in _members(read_document(each.path), name):
                inner |= {member, *getattr(beside.get(member), "members", ())}
    names = [name for name, each in beside.items() if each.kind != "TAG" and name not in inner]
    if not names:
        raise EvaluationError(f"{folder} holds no task of lm-eval: no YAML file in it names one")
    return names


def _beside_or_lm_eval(beside: Mapping[str, Listed]) -> Callable[[str], Listed | None]:
    return lambda name: beside.get(name) or _names_of_lm_eval().get(name)


def _gather(name: str, look_up: Callable[[str], Listed | None], found: Found) -> None:
    """Put a name, and whatever it names, into `found`."""
    if name in found.listed:
        return
    each = look_up(name)
    assert each is not None, "a name is looked up before it is gathered"
    found.listed[name] = each
    members = sorted(each.members)
    if each.path is not None:
        document = read_document(each.path.resolve())
        found.documents[name] = document
        members = _members(document, name) if each.kind == "GROUP" else []
    for member in members:
        if look_up(member) is None:
            hint = did_you_mean(member, sorted({*found.listed, *_names_of_lm_eval()}))
            raise EvaluationError(
                f"{found.documents[name].place('task')}: the group {name!r} names {member!r}, "
                f"which is neither in a file beside it nor lm-eval's own"
                f"{f'; {hint}' if hint else ''}"
            )
        _gather(member, look_up, found)


def _members(document: Document, name: str) -> list[str]:
    """The tasks and groups that a group names; those that it defines itself are left out."""
    named: list[str] = []

    def walk(items: Any) -> None:
        if not isinstance(items, list):
            raise EvaluationError(
                f"{document.place('task')}: `task` of the group {name!r} is a list of tasks"
            )
        for item in items:
            if isinstance(item, str):
                named.append(item)
            elif isinstance(item, dict) and "group" in item and "task" in item:
                walk(item["task"])
            elif isinstance(item, dict) and "group" in item:
                named.append(str(item["group"]))
            elif isinstance(item, dict) and "dataset_path" not in item:
                named.append(str(item.get("task")))

    walk(document.values.get("task"))
    return named
