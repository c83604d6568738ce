"""Which format rows have: told from their columns and a few of them, or said by `format_type`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aligntune.config import DatasetConfig
from aligntune.data.contract import Contract
from aligntune.data.formats import FORMATS, Format, LeaveOut, named
from aligntune.data.formats.base import column_settings
from aligntune.errors import DataError, did_you_mean

__all__ = ["Found", "find_format"]


@dataclass(frozen=True)
class Found:
    """A format, the column of each of its roles, and why it is that one."""

    format: Format
    columns: dict[str, str]
    why: str


def find_format(
    name: str,
    config: DatasetConfig,
    contract: Contract,
    columns: Sequence[str],
    examples: Sequence[Mapping[str, Any]],
) -> Found:
    """The format of rows with these columns that the contract can be met from.

    Raises:
        DataError: if there is none, or a `*_column` setting names no column or one that is not
            read; says what is there and what would be right.
    """
    given = _settings(name, config, columns)
    if config.format_type is not None:
        return _said(name, config, contract, columns, given)
    found = [
        Found(one, roles, _why(one, roles))
        for one in contract.formats
        if not one.lacks(roles := one.find(columns, config))
    ]
    if not found:
        raise DataError(_nothing_found(name, config, contract, columns))
    reading = [one for one in found if not _unread(one, config, given)]
    if not reading:
        raise DataError(_not_read(name, found[0], _unread(found[0], config, given), given))
    return next((one for one in reading if _fits(one, contract, examples)), reading[0])


def _settings(name: str, config: DatasetConfig, columns: Sequence[str]) -> dict[str, str]:
    """The `*_column` settings, once they are known to name columns."""
    given = column_settings(config)
    other = column_settings(config.model_copy(update={"text_column": "text"})).get("text_column")
    if other is not None and given["text_column"] != other:
        raise DataError(
            f"{name}: text_column {given['text_column']!r} and dataset_text_field {other!r} are "
            "two names of one thing: set one of them"
        )
    for field, column in given.items():
        if column not in columns:
            hint = did_you_mean(column, columns)
            raise DataError(
                f"{name}: {field} names {column!r}, which is not there; the columns there are: "
                f"{', '.join(columns)}{'; ' + hint if hint else ''}"
            )
    return given


def _said(
    name: str,
    config: DatasetConfig,
    contract: Contract,
    columns: Sequence[str],
    given: dict[str, str],
) -> Found:
    assert config.format_type is not None
    wanted = named(config.format_type)
    if wanted is None:
        known = [one.name for one in FORMATS]
        hint = did_you_mean(config.format_type, known)
        raise DataError(
            f"{name}: format_type {config.format_type!r} is not known{'; ' + hint if hint else ''}"
            f"\n    formats: {', '.join(known)}"
        )
    if wanted not in contract.formats:
        usable = ", ".join(one.name for one in contract.formats)
        raise DataError(
            f"{name}: format_type {wanted.name!r} gives {wanted.gives}, and this algorithm needs "
            f"{contract.wanted}\n    formats that give it: {usable}"
        )
    roles = wanted.find(columns, config)
    if missing := wanted.lacks(roles):
        said = ", ".join(f"the {one.name} ({' or '.join(one.known)})" for one in missing)
        raise DataError(
            f"{name}: format_type {wanted.name!r} lacks {said}; the columns there are: "
            f"{', '.join(columns)}"
        )
    found = Found(wanted, roles, f"{_why(wanted, roles)}, as format_type says")
    if unread := _unread(found, config, given):
        raise DataError(_not_read(name, found, unread, given))
    return found


def _unread(found: Found, config: DatasetConfig, given: Mapping[str, str]) -> list[str]:
    read = found.format.reads(found.columns, config)
    return [field for field in given if field not in read]


def _not_read(name: str, found: Found, unread: list[str], given: Mapping[str, str]) -> str:
    return (
        f"{name}: {unread[0]} names {given[unread[0]]!r}, and the format {found.format.name} reads "
        f"{_listed(list(found.columns.values()))}: leave it out, or say with `format_type` what "
        "the rows are"
    )


def _fits(found: Found, contract: Contract, examples: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the columns hold in a few rows what the format has in them."""
    for row in examples:
        values = {
            role: row.get(column)
            for role, column in found.columns.items()
            if role not in contract.unread
        }
        try:
            found.format.build(values)
        except LeaveOut:
            continue
        except DataError:
            return False
    return True


def _why(one: Format, roles: Mapping[str, str]) -> str:
    columns = list(roles.values())
    return f"{one.name}: the column{'s' if len(columns) > 1 else ''} {_listed(columns)}"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _nothing_found(
    name: str, config: DatasetConfig, contract: Contract, columns: Sequence[str]
) -> str:
    there = ", ".join(columns) or "none"
    text = f"{name}: rows need {contract.wanted}; the columns there are: {there}"
    guessed = config.model_copy(update={"auto_detect_fields": True})
    for one in contract.formats:
        if not one.lacks(roles := one.find(columns, guessed)):
            read = ", ".join(f"{column} as the {role}" for role, column in roles.items())
            return f"{text}\n    `auto_detect_fields: true` takes {read}"
    for one in FORMATS:
        if one not in contract.formats and not one.lacks(roles := one.find(columns, config)):
            return f"{text}\n    they have {one.gives} ({_why(one, roles)})"
    known = [column for one in contract.formats for role in one.roles for column in role.known]
    near = [hint for column in columns if (hint := did_you_mean(column, known))]
    example = columns[0] if columns else "your_column"
    target = (
        contract.formats[0].roles[0].name if contract.name != "language-modelling" else "prompt"
    )
    return (
        f"{text}\n    {near[0] + ' ' if near else ''}rename with "
        f"`column_mapping: {{{example}: {target}}}`"
    )
