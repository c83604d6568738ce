"""From rows as read to rows as the algorithm's contract has them; what is left out is counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aligntune.config import DatasetConfig
from aligntune.data.contract import Shape, find_shape
from aligntune.data.load import load_rows
from aligntune.data.mix import hold_out, limit, mix, same_columns, together
from aligntune.enums import TaskType
from aligntune.errors import DataError, PluginError, did_you_mean
from aligntune.registry import import_target

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["DataReport", "Prepared", "prepare"]

logger = logging.getLogger("aligntune")

_LM_TASKS = (
    TaskType.INSTRUCTION_FOLLOWING,
    TaskType.SUPERVISED_FINE_TUNING,
    TaskType.TEXT_GENERATION,
    TaskType.CHAT_COMPLETION,
    TaskType.CONVERSATION,
)


@dataclass
class DataReport:
    """What became of the rows of one data set."""

    name: str
    read: int
    kept: int
    shape: str
    why: str
    left_out: dict[str, int] = field(default_factory=dict)
    held_out: int = 0
    """How many of the rows that were kept are evaluated on instead of trained on."""
    drawn: int | None = None
    """How many rows were drawn by weight, repeats counted; None where none was drawn."""

    def __str__(self) -> str:
        text = f"{self.name}: {self.kept} of {self.read} rows ({self.why})"
        for reason, count in self.left_out.items():
            text += f"; left out {count}: {reason}"
        if self.held_out:
            text += f"; held out {self.held_out} to evaluate on"
        return text


@dataclass
class Prepared:
    """Rows that meet a contract, and the report of each data set they came from."""

    rows: Dataset
    reports: list[DataReport]
    held_out: Dataset | None = None
    """Rows to evaluate on, which `val_size` took from those to train on."""
    partial: dict[str, list[str]] = field(default_factory=dict)
    """Columns that were left out because not all data sets have them -> those that do not."""


def prepare(
    configs: Sequence[DatasetConfig], contract: str, *, keep_columns: bool = False, seed: int = 0
) -> Prepared:
    """Load and normalise data sets, hold out rows to evaluate on, and put the others together.

    Args:
        configs: at least one data set.
        contract: `"language-modelling"` or `"prompt"`.
        keep_columns: keep every other column too, for rewards and evaluators.
        seed: draws the rows that are held out, and rows by the weights of their data sets.

    Raises:
        DataError: if a data set cannot be read, lacks a column, is empty, or nothing of it can be
            used; names the data set, and the columns there are.
    """
    parts, held_out, reports = [], [], []
    for config in configs:
        rows, report = _prepare_one(config, contract, keep_columns)
        rows, some = hold_out(rows, config, seed)
        report.held_out = 0 if some is None else len(some)
        logger.info("%s", report)
        if report.left_out:
            logger.warning("%s", report)
        parts.append(rows)
        held_out += [] if some is None else [some]
        reports.append(report)
    kinds = {report.shape for report in reports}
    if len(kinds) > 1:
        said = "; ".join(f"{report.name}: {report.shape}" for report in reports)
        raise DataError(f"data sets that are trained on together need one shape: {said}")
    parts, partial = same_columns(parts, configs)
    mixed, drawn = mix(parts, configs, seed)
    for report, count in zip(reports, drawn or (), strict=False):
        report.drawn = count
        logger.info("%s: %d rows drawn of %d", report.name, count, report.kept - report.held_out)
    return Prepared(mixed, reports, together(held_out, configs) if held_out else None, partial)


def _prepare_one(
    config: DatasetConfig, contract: str, keep_all: bool
) -> tuple[Dataset, DataReport]:
    if config.task_type not in _LM_TASKS:
        known = ", ".join(task.value for task in _LM_TASKS)
        raise DataError(
            f"{config.label}: task_type {config.task_type.value!r} is not one of: {known}"
        )
    rows = load_rows(config)
    if len(rows) == 0:
        raise DataError(f"{config.label}: the data set is empty")
    rows = limit(rows, config)
    rows = _processed(rows, config)
    rows = _renamed(rows, config)
    shape = find_shape(contract, rows.column_names, config.label)
    rows = _numbers_as_text(rows, shape)
    read = len(rows)
    rows, left_out = _without_empty(rows, shape, config)
    rows = _in_shape(rows, shape, contract, config, keep_all)
    if len(rows) == 0:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in left_out.items())
        raise DataError(f"{config.label}: none of the {read} rows can be used ({reasons})")
    return rows, DataReport(config.label, read, len(rows), shape.name, shape.why, dict(left_out))


def _processed(rows: Dataset, config: DatasetConfig) -> Dataset:
    if config.processing_fn is None:
        return rows
    function = import_target(config.processing_fn, "datasets.processing_fn")
    try:
        return rows.map(
            function,
            batched=config.processing_batched,
            fn_kwargs=config.processing_fn_kwargs or None,
            num_proc=config.dataset_num_proc,
        )
    except PluginError:
        raise
    except Exception as error:  # the user's function: the boundary that names it
        name = getattr(function, "__qualname__", repr(function))
        raise DataError(
            f"{config.label}: processing_fn {name} raised {type(error).__name__}: {error}; "
            f"the columns it was given: {', '.join(rows.column_names)}"
        ) from error


def _renamed(rows: Dataset, config: DatasetConfig) -> Dataset:
    columns = rows.column_names
    for source, target in config.column_mapping.items():
        if source not in columns:
            hint = did_you_mean(source, columns)
            raise DataError(
                f"{config.label}: column_mapping names the column {source!r}, which is not there; "
                f"the columns there are: {', '.join(columns)}{'; ' + hint if hint else ''}"
            )
        if target in columns and target != source:
            raise DataError(
                f"{config.label}: column_mapping renames {source!r} to {target!r}, "
                "which is there already"
            )
    targets = list(config.column_mapping.values())
    if twice := [target for target in targets if targets.count(target) > 1]:
        raise DataError(f"{config.label}: column_mapping renames two columns to {twice[0]!r}")
    mapping = {s: t for s, t in config.column_mapping.items() if s != t}
    return rows.rename_columns(mapping) if mapping else rows


def _check_kind(value: Any, role: str, place: str) -> None:
    """Refuse what is neither text nor chat messages.

    Raises:
        DataError: names the row, the column and what it holds.
    """
    wanted = "chat messages, each with `role` and `content`"
    if role != "messages":
        if isinstance(value, str):
            return
        wanted = "text" if role == "text" else f"text or {wanted}"
    if role != "text" and isinstance(value, list) and all(map(_is_message, value)):
        return
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise DataError(f"{place} is {shown}; expected {wanted}")


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and "content" in value


def _numbers_as_text(rows: Dataset, shape: Shape) -> Dataset:
    """Whole numbers where text stands become text: a CSV file cannot say otherwise."""
    import datasets

    for column in shape.roles.values():
        kind = rows.features[column]
        if isinstance(kind, datasets.Value) and kind.dtype.startswith(("int", "uint")):
            rows = rows.cast_column(column, datasets.Value("string"))
    return rows


def _empty(value: Any) -> bool:
    if isinstance(value, list):
        return not value or all(not message.get("content") for message in value)
    return value is None or (isinstance(value, str) and not value.strip())


def _without_empty(
    rows: Dataset, shape: Shape, config: DatasetConfig
) -> tuple[Dataset, Counter[str]]:
    """Leave out rows that have nothing to train on, and count them."""
    left_out: Counter[str] = Counter()
    wanted = {role: column for role, column in shape.roles.items() if role != "input"}
    keep = []
    for index, values in enumerate(zip(*(rows[column] for column in wanted.values()), strict=True)):
        for (role, column), value in zip(wanted.items(), values, strict=True):
            if value is not None:
                _check_kind(value, role, f"{config.label}: row {index}: the {column}")
        empty = [role for role, value in zip(wanted, values, strict=True) if _empty(value)]
        if empty:
            left_out[f"the {empty[0]} is empty"] += 1
        else:
            keep.append(index)
    return (rows if not left_out else rows.select(keep)), left_out


def _in_shape(
    rows: Dataset, shape: Shape, contract: str, config: DatasetConfig, keep_all: bool
) -> Dataset:
    """Build the columns of the contract; keep the others for rewards, or drop them."""
    system = config.system_prompt

    def build(row: dict[str, Any]) -> dict[str, Any]:
        if "messages" in shape.roles:
            messages = _with_system(row[shape.roles["messages"]], system)
            if contract == "prompt":
                return {"prompt": _until_assistant(messages)}
            return {"messages": messages}
        if "text" in shape.roles:
            text = row[shape.roles["text"]]
            return {"text": f"{system}\n\n{text}" if system else text}
        prompt = row[shape.roles["prompt"]]
        extra = row.get(shape.roles.get("input", ""))
        if isinstance(prompt, str) and extra:
            prompt = f"{prompt}\n\n{extra}"
        built = {"prompt": _with_system(prompt, system)}
        if "completion" in shape.roles:
            built["completion"] = row[shape.roles["completion"]]
        return built

    columns = rows.column_names
    keep = columns if keep_all else []
    if config.preserve_columns is not None:
        keep = config.preserve_columns
        if missing := [column for column in keep if column not in columns]:
            raise DataError(
                f"{config.label}: preserve_columns names {missing[0]!r}; "
                f"the columns there are: {', '.join(columns)}"
            )
    drop = [column for column in columns if column not in keep]
    return rows.map(build, remove_columns=drop, num_proc=config.dataset_num_proc)


def _with_system(prompt: Any, system: str | None) -> Any:
    if not system:
        return prompt
    if isinstance(prompt, list):
        rest = prompt[1:] if prompt and prompt[0].get("role") == "system" else prompt
        return [{"role": "system", "content": system}, *rest]
    return f"{system}\n\n{prompt}"


def _until_assistant(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation up to, but without, its last turn if that is the assistant's."""
    return messages[:-1] if messages and messages[-1].get("role") == "assistant" else messages
