"""One row at a time, from as it was read to as the algorithm's contract has it.

Rows that are read at once and rows that are streamed go through the same `Normaliser`, so that they
come out alike and are counted alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aligntune.config import DatasetConfig
from aligntune.data.contract import CONTRACTS, Contract, Made
from aligntune.data.detect import find_format
from aligntune.data.formats.base import Format
from aligntune.data.formats.values import is_chat
from aligntune.errors import DataError, did_you_mean
from aligntune.registry import import_target

__all__ = ["EXAMPLES", "Normaliser", "make_normaliser"]

EXAMPLES = 8  # so many rows are looked at to tell what they are

SYSTEM_REPLACED = "the system turn, which system_prompt replaces"


@dataclass(frozen=True)
class Normaliser:
    """Makes rows of one data set meet a contract.

    Args:
        name: the data set, for messages.
        contract: what rows shall meet.
        format: what they are.
        columns: role of the format -> the column that plays it.
        why: why it is that format.
        system: the system prompt that is put first.
        tools: JSON of the tools that go with every chat.
        keep: columns that are kept beside those of the contract.
    """

    name: str
    contract: Contract
    format: Format
    columns: Mapping[str, str]
    why: str
    system: str | None = None
    tools: str | None = None
    keep: tuple[str, ...] = ()

    @property
    def shape(self) -> str:
        """What rows have become, such as `"prompt and completion"`."""
        return (
            self.format.gives if self.contract.name == "language-modelling" else self.contract.name
        )

    def __call__(self, row: Mapping[str, Any], index: int) -> Made:
        """The row that row number `index` becomes, kept columns included.

        Raises:
            LeaveOut: if it must not be trained on, with the reason.
            DataError: if a column holds what cannot stand there; names the row and the column.
        """
        values = {role: row.get(column) for role, column in self.columns.items()}
        try:
            made = self.contract.finish(self.format.build(values))
            made = self._with_tools(self._with_system(made))
        except DataError as error:
            raise DataError(f"{self.name}: row {index}: {error}") from error
        kept = {name: row.get(name) for name in self.keep if name not in made.row}
        return Made({**kept, **made.row}, made.cut, tuple(kept))

    def _with_system(self, made: Made) -> Made:
        if not self.system:
            return made
        name = next(name for name in ("messages", "prompt", "text") if name in made.row)
        value = made.row[name]
        if not is_chat(value):
            return Made({**made.row, name: f"{self.system}\n\n{value}"}, made.cut)
        replaces = value[0]["role"] == "system"
        turns = [{"role": "system", "content": self.system}, *value[replaces:]]
        return Made({**made.row, name: turns}, made.cut + (SYSTEM_REPLACED,) * replaces)

    def _with_tools(self, made: Made) -> Made:
        if self.tools is None:
            return made
        if not any(is_chat(made.row.get(name)) for name in ("messages", "prompt")):
            raise DataError("tools are described to the model by its chat template, and the row is "
                            "text; leave `tools` out, or bring chat messages")  # fmt: skip
        return Made({**made.row, "tools": self.tools}, made.cut)


def make_normaliser(
    config: DatasetConfig,
    contract: str,
    columns: Sequence[str],
    examples: Sequence[Mapping[str, Any]],
    *,
    keep_columns: bool = False,
) -> Normaliser:
    """Find out what the rows of a data set are, and how they become what the contract wants.

    Args:
        config: of the data set.
        contract: its name.
        columns: of the rows, once processed and renamed.
        examples: a few of the rows.
        keep_columns: keep every other column too.

    Raises:
        DataError: if the rows have no format that the contract can be met from, or a setting does
            not fit the rows or the contract.
    """
    wanted = CONTRACTS[contract]
    name = config.label
    _check_task(name, config, wanted)
    found = find_format(name, config, wanted, columns, examples)
    return Normaliser(
        name,
        wanted,
        found.format,
        {role: column for role, column in found.columns.items() if role not in wanted.unread},
        found.why,
        config.system_prompt,
        _tools(name, config, wanted),
        tuple(_kept(name, config, columns, keep_columns)),
    )


def _check_task(name: str, config: DatasetConfig, contract: Contract) -> None:
    if config.task_type not in contract.tasks:
        known = ", ".join(task.value for task in contract.tasks)
        raise DataError(f"{name}: task_type {config.task_type.value!r} is not one of: {known}")
    if config.system_prompt and not contract.chats:
        raise DataError(f"{name}: system_prompt is set, and a classifier is asked nothing: "
                        "leave it out")  # fmt: skip


def _kept(name: str, config: DatasetConfig, columns: Sequence[str], every: bool) -> list[str]:
    if config.preserve_columns is None:
        return list(columns) if every else []
    for column in config.preserve_columns:
        if column not in columns:
            hint = did_you_mean(column, columns)
            raise DataError(f"{name}: preserve_columns names {column!r}; the columns there are: "
                            f"{', '.join(columns)}{'; ' + hint if hint else ''}")  # fmt: skip
    return config.preserve_columns


def _tools(name: str, config: DatasetConfig, contract: Contract) -> str | None:
    """The tools as JSON, which is how TRL reads a column of them."""
    if not config.tools:
        return None
    if contract.name not in ("language-modelling", "preference"):
        raise DataError(f"{name}: tools are set, and this algorithm trains on no conversations "
                        "that could call them: leave them out")  # fmt: skip
    tools = config.tools if isinstance(config.tools, (list, tuple)) else [config.tools]
    return json.dumps([_tool(name, tool) for tool in tools])


def _tool(name: str, tool: Any) -> dict[str, Any]:
    """The JSON schema of a tool."""
    if isinstance(tool, str):
        tool = import_target(tool, "datasets.tools")
    if callable(tool):
        from transformers.utils.chat_template_utils import (
            DocstringParsingException,
            TypeHintParsingException,
            get_json_schema,
        )

        try:
            schema: dict[str, Any] = get_json_schema(tool)
        except (DocstringParsingException, TypeHintParsingException, ValueError) as error:
            raise DataError(f"{name}: tools: {error}") from error
        return schema
    described = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(described, Mapping) or not isinstance(described.get("name"), str):
        raise DataError(f"{name}: tools: expected a function, its importable name `package.module:"
                        f"function`, or its JSON schema with `name`; found {tool!r}")  # fmt: skip
    return dict(tool)
