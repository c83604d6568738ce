"""Writes the resolved configuration: every value that the run uses, secrets left out.

The file loads again as a configuration and gives the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from aligntune.config.assemble import Setting, merge
from aligntune.config.environment import escape, from_secret
from aligntune.config.sections.dataset import is_data, written_data
from aligntune.evaluation.switches import SWITCHES
from aligntune.plan.plan import Plan, Value, leaves
from aligntune.redact import REDACTED, redact, secret_paths

__all__ = ["plan_as_dict", "resolved_values", "save_resolved"]


def _plain(value: Any) -> Any:  # noqa: PLR0911 (one line for each kind of value)
    """A value as YAML and JSON have it; a function by its importable name."""
    if isinstance(value, Enum):
        return value.value
    if is_data(value):
        return written_data(value)
    if isinstance(value, dict):
        return {
            key if isinstance(key, (int, str)) else str(key): _plain(v) for key, v in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, Callable):  # type: ignore[arg-type]
        module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
        return f"{module}:{name}" if name else repr(value)
    return repr(value)


def resolved_values(plan: Plan) -> tuple[dict[str, Any], list[str]]:
    """Return the nested values that make the same run again, and the paths left out as secrets."""
    defaults = {path: default for path, _, _, default in leaves(plan.config)}
    settings = [
        Setting(value.path, _plain(value.value), value.origin)
        for value in plan.values
        if value.used
        and not (value.value is None and defaults.get(value.path) is None)
        and not _unset_switch(value)
    ]
    # Secret whatever their names are, because of the environment variables that they come from.
    secrets = [setting.path for setting in settings if from_secret(setting.origin)]
    tree, _ = merge(setting for setting in settings if setting.path not in secrets)
    tree["backend"] = plan.backend.name
    return _without_redacted(redact(tree)), [*secrets, *secret_paths(tree)]


def _unset_switch(value: Value) -> bool:
    """Whether this turns a metric on or off by default, which the rows decide too."""
    section, _, field = value.path.partition(".")
    return section == "evaluation" and field in SWITCHES and value.origin.startswith("default")


def _without_redacted(value: Any) -> Any:
    """Leave out keys whose value was a secret; a list keeps its length."""
    if isinstance(value, list):
        return [_without_redacted(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_redacted(item)
        for key, item in value.items()
        if not (isinstance(item, str) and REDACTED in item)
    }


def resolved_yaml(plan: Plan) -> str:
    """The resolved configuration as YAML."""
    values, secrets = resolved_values(plan)
    head = "# Every value that this run uses. Run it again with: aligntune train <this file>\n"
    if secrets:
        head += f"# Left out as secrets: {', '.join(secrets)}\n"
    return head + yaml.dump(
        _escaped(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


class _Dumper(yaml.SafeDumper):
    """Quotes text with the line breaks of Unicode, which PyYAML writes so that they read as blanks.

    A chat template or a system prompt may hold one.
    """


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(character in text for character in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represented)


def _escaped(value: Any) -> Any:
    """Values as a file has them: what looks like an environment variable in them is none."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return escape(value) if isinstance(value, str) else value


def save_resolved(plan: Plan, path: Path) -> Path:
    """Write the resolved configuration to `path`, whole or not at all; return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(resolved_yaml(plan), encoding="utf-8")
    part.replace(path)
    return path


def _redacted(value: Value) -> Any:
    if from_secret(value.origin):
        return REDACTED
    name = value.path.rpartition(".")[2]
    return redact({name: _plain(value.value)})[name]


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, secrets redacted: for `plan --json` and the run directory."""
    return {
        "algorithm": plan.algorithm.name,
        "backend": plan.backend.name,
        "why": plan.why,
        "batch": plan.batch,
        "warnings": plan.warnings,
        "values": [
            {
                "path": value.path,
                "value": _redacted(value),
                "origin": value.origin,
                "destination": value.destination,
            }
            for value in plan.values
            if value.used
        ],
        "unused": [{"path": v.path, "why": v.destination} for v in plan.values if not v.used],
    }
