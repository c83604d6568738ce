"""Which tasks, groups and tags the YAML files of a folder define, read from their first lines only.

The rules are those of `lm_eval.tasks.TaskManager`: files in the order of their paths, the first of
two that share a name counts, an `include` is followed, and a tag stands for the tasks that have it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Listed", "list_names"]

_KEYS = ("task", "group", "tag", "include", "class")
# A key at the beginning of a line, and its value: the rest of the line, or the list below it.
_TOP = re.compile(
    rf"""^["']?({"|".join(_KEYS)})["']?[ \t]*:[ \t]*(.*(?:\n[ \t]*-[ \t]+.*)*)""", re.MULTILINE
)
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_IGNORED = {"__pycache__", ".ipynb_checkpoints"}


@dataclass(frozen=True)
class Listed:
    """A name, as lm-eval's index has it: its kind, its file, and of a tag its tasks."""

    kind: Literal["TASK", "PY_TASK", "GROUP", "TAG"]
    path: Path | None = None
    members: set[str] = field(default_factory=set)


def list_names(folder: Path) -> dict[str, Listed]:
    """What the YAML files in `folder`, and in the folders below it, define."""
    found: dict[str, Listed] = {}
    texts: dict[Path, dict[str, str]] = {}
    paths = (path for path in folder.glob("**/*.yaml") if not _IGNORED & set(path.parts))
    for path in sorted(paths, key=lambda path: path.as_posix()):
        _add(path, _keys(path, texts, ()), found)
    return found


def _add(path: Path, keys: Mapping[str, str], found: dict[str, Listed]) -> None:
    if "class" in keys:
        kind: Literal["TASK", "PY_TASK", "GROUP"] = "PY_TASK"
    elif "group" in keys:
        kind = "GROUP"
    else:
        kind = "TASK"
    name = _value(keys.get("group" if kind == "GROUP" else "task", ""))
    if not isinstance(name, str) or not name or name in found:
        return
    found[name] = Listed(kind, path)
    if kind == "GROUP":
        return
    for tag in _as_list(_value(keys.get("tag", ""))):
        found.setdefault(tag, Listed("TAG")).members.add(name)


def _keys(
    path: Path, texts: dict[Path, dict[str, str]], within: tuple[Path, ...]
) -> dict[str, str]:
    """The values of the keys of a file, as they are written; those of an include come first."""
    if path in within:
        return {}  # whoever reads the file says so
    if path not in texts:
        try:
            own = dict(_TOP.findall(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            own = {}
        merged: dict[str, str] = {}
        for other in _as_list(_value(own.pop("include", ""))):
            merged.update(_keys((path.parent / other).resolve(), texts, (*within, path)))
        texts[path] = merged | own
    return texts[path]


def _value(written: str) -> Any:
    """What is written after a key, read as YAML unless it is a plain word."""
    if not written or _PLAIN.fullmatch(written):
        return written
    import yaml

    try:
        return yaml.load(f"x: {written}", Loader=yaml.CSafeLoader)["x"]
    except yaml.YAMLError:
        return None  # whoever reads the file says so


def _as_list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str) and each]
