"""What pydantic found wrong, said so that the user can mend it."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import ValidationError

from aligntune.config.section import Section
from aligntune.errors import Problem, did_you_mean

__all__ = ["place", "problems_of"]

# Names that users bring along from elsewhere, and what they are called here.
_RENAMED = {
    "evaluation_strategy": "it is called `train.eval_strategy`",
    "no_cuda": "transformers removed it; the device is chosen from what there is",
    "tokenizer": "the tokenizer comes with the model",
    "beta": "`beta` belongs to DPO; the KL weight of GRPO is `train.kl_coef`",
    "per_gpu_train_batch_size": "it is called `train.per_device_batch_size`",
}


def problems_of(error: ValidationError, cls: type[Section]) -> list[Problem]:
    """Return one problem per thing wrong, with its path and what would be right."""
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], cls)
        message, hint = _explained(detail, path, cls)
        problem = Problem(path, message, hint=hint)
        known = found.get(path)
        if known is not None and known.message != problem.message:  # the arms of a union
            problem = Problem(
                path, f"{known.message}; or {problem.message}", known.where, known.hint
            )
        found[path] = problem
    return list(found.values())


def _path(loc: tuple[int | str, ...], cls: type[Section]) -> str:
    """The path of a value, without pydantic's names for the arms of a union."""
    parts: list[str] = []
    section: type[Section] | None = cls
    for index, part in enumerate(loc):
        if section is None and parts and not isinstance(part, int):
            break
        parts.append(str(part))
        if isinstance(part, str) and section is not None:
            field = section.model_fields.get(part)
            section = _nested(field.annotation) if field is not None else None
        elif isinstance(part, int) and index:
            continue
    return ".".join(parts)


def _nested(annotation: Any) -> type[Section] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _section_at(path: str, cls: type[Section]) -> type[Section]:
    section = cls
    for part in path.split(".")[:-1]:
        if not part.isdigit() and (field := section.model_fields.get(part)) is not None:
            section = _nested(field.annotation) or section
    return section


def place(path: str, origins: dict[str, str]) -> str:
    """Where the value at `path`, or the section around it, was written; empty if unknown."""
    while path:
        if path in origins:
            origin = origins[path]
            return "" if origin == "Python" else origin
        path = path.rpartition(".")[0]
    return ""


def _explained(detail: Any, path: str, cls: type[Section]) -> tuple[str, str]:
    name = path.rpartition(".")[2]
    if detail["type"] == "extra_forbidden":
        return "unknown key", _hint_for_unknown(name, path, cls)
    if detail["type"] == "missing":
        return "it is required and was not set", _hint_for_missing(path)
    if detail["type"] == "too_short" and path == "datasets":
        return "at least one data set is required", _hint_for_missing("datasets")
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = detail["input"]
    return f"{message}, not {_shown(given)}", ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _hint_for_unknown(name: str, path: str, cls: type[Section]) -> str:
    if name in _RENAMED:
        return _RENAMED[name]
    from aligntune.config.assemble import field_paths

    section = _section_at(path, cls)
    own = {*section.model_fields, *section.aliases(), *section.elsewhere}
    flat = field_paths()
    if "." not in path:
        return did_you_mean(name, own | set(flat))
    if name in flat:
        return f"{name!r} belongs to another section: `{flat[name]}`"
    return did_you_mean(name, own) or f"known here: {', '.join(sorted(own))}"


def _hint_for_missing(path: str) -> str:
    return {
        "model": "set `model.name_or_path` (or `model_name`, or --model)",
        "model.name_or_path": "set `model.name_or_path` (or `model_name`, or --model)",
        "datasets": "set `datasets: [{name: ...}]` (or `dataset_name`, or --dataset)",
        "algo": "set `algorithm`, such as `algorithm: grpo`",
    }.get(path, "")
