"""What a format is: a name, the columns it reads, and how a row of it becomes a usual one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aligntune.config import DatasetConfig

__all__ = ["Format", "LeaveOut", "Role", "column_settings"]


class LeaveOut(Exception):  # noqa: N818 (it is no error: the next row is read)
    """This row must not be trained on; rows are counted by the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def column_settings(config: DatasetConfig) -> dict[str, str]:
    """The `*_column` fields that name another column than they do by default.

    `text_column` and `dataset_text_field` are two names of one thing, the first here.
    """
    fields = DatasetConfig.model_fields
    found = {
        name: getattr(config, name)
        for name in fields
        if name.endswith("_column") and getattr(config, name) != fields[name].default
    }
    if config.dataset_text_field != fields["dataset_text_field"].default:
        found.setdefault("text_column", config.dataset_text_field)
    return found


@dataclass(frozen=True)
class Role:
    """One thing that a format reads, and which column it may stand in.

    Args:
        name: what it is, such as `"prompt"`.
        known: columns that are looked for, the first that is there is taken.
        fields: fields of `DatasetConfig` that name the column instead.
        usual: columns that are looked for too with `auto_detect_fields`.
        optional: whether rows may lack it.
    """

    name: str
    known: tuple[str, ...]
    fields: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    optional: bool = False

    def find(self, columns: Iterable[str], config: DatasetConfig) -> str | None:
        """The column that plays the role, or None."""
        there = set(columns)
        given = column_settings(config)
        wanted: tuple[str, ...] = tuple(given[field] for field in self.fields if field in given)
        if not wanted:
            wanted = self.known + (self.usual if config.auto_detect_fields else ())
        return next((column for column in wanted if column in there), None)


Values = Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """One shape that rows have in the world.

    Args:
        name: as `format_type` has it.
        gives: the kind of row that it becomes (see `aligntune.data.contract`).
        roles: what it reads.
        build: from the value of each role that is there to a row of the kind `gives`. It raises
            `LeaveOut` for a row that must not be trained on, and `DataError` for a value that is
            not what stands in such a column.
        aliases: further names in `format_type`.
    """

    name: str
    gives: str
    roles: tuple[Role, ...]
    build: Callable[[Values], dict[str, Any]]
    aliases: tuple[str, ...] = ()

    def find(self, columns: Sequence[str], config: DatasetConfig) -> dict[str, str]:
        """Role -> column, for each role that some column plays; no column plays two."""
        found: dict[str, str] = {}
        for role in self.roles:
            left = [column for column in columns if column not in found.values()]
            if (column := role.find(left, config)) is not None:
                found[role.name] = column
        return found

    def lacks(self, found: Mapping[str, str]) -> list[Role]:
        """The roles that must be there and are not."""
        return [role for role in self.roles if not role.optional and role.name not in found]

    def reads(self, found: Mapping[str, str], config: DatasetConfig) -> set[str]:
        """The `*_column` settings that the roles found make use of."""
        given = column_settings(config)
        return {
            field
            for role in self.roles
            if role.name in found
            for field in role.fields
            if given.get(field) == found[role.name]
        }
