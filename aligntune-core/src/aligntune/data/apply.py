"""Applies a `Normaliser` to rows that are all there: what is left out, and the types of columns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.data.contract import Made
from aligntune.data.formats.base import LeaveOut
from aligntune.data.formats.values import is_chat
from aligntune.data.processing import ARROW_ERRORS
from aligntune.data.rows import Normaliser
from aligntune.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, Features

__all__ = ["Applied", "apply", "kinds_of"]

_JUDGED = ("left_out", "cut", "kinds", "more")
_PLAIN = {"role", "content"}


@dataclass
class Applied:
    """Rows that meet the contract, and how many were left out and cut, by reason."""

    rows: Dataset
    left_out: dict[str, int]
    cut: dict[str, int]


def apply(rows: Dataset, normaliser: Normaliser, processes: int | None = None) -> Applied:
    """Make all rows meet the contract.

    Rows are gone through twice: the first time to tell which are kept and that they are of one
    kind, the second time to build them.

    Raises:
        DataError: if a column holds what cannot stand there, rows are of different kinds, or none
            can be used.
    """
    import datasets

    text = datasets.Value("string")
    judged = rows.map(
        _Judge(normaliser),
        with_indices=True,
        remove_columns=rows.column_names,
        features=datasets.Features(dict.fromkeys(_JUDGED, text)),
        num_proc=processes,
        load_from_cache_file=False,  # it knows no other version of this code
    )
    left_out = Counter(reason for reason in judged["left_out"] if reason is not None)
    keep = [index for index, reason in enumerate(judged["left_out"]) if reason is None]
    if not keep:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in left_out.most_common())
        raise DataError(f"{normaliser.name}: none of the {len(rows)} rows can be used ({reasons})")
    _check_kinds(normaliser.name, judged["kinds"], keep)
    cut = Counter(what for some in judged["cut"] if some for what in some.split("\n"))
    kept = rows if len(keep) == len(rows) else rows.select(keep)
    first = normaliser(kept[0], 0)
    try:
        built = kept.map(
            _Build(normaliser),
            with_indices=True,
            remove_columns=[name for name in rows.column_names if name not in first.row],
            features=_features(kept.features, normaliser, first, any(judged["more"])),
            num_proc=processes,
            load_from_cache_file=False,
        )
    except ARROW_ERRORS as error:
        raise DataError(
            f"{normaliser.name}: values of one column cannot stand together: {error}"
        ) from error
    return Applied(built, dict(left_out), dict(cut))


@dataclass(frozen=True)
class _Judge:
    normaliser: Normaliser

    def __call__(self, row: dict[str, Any], index: int) -> dict[str, str | None]:
        try:
            made = self.normaliser(row, index)
        except LeaveOut as out:
            return {"left_out": out.reason, "cut": None, "kinds": None, "more": None}
        kinds = kinds_of(self.normaliser, made)
        cut = "\n".join(made.cut) or None
        return {"left_out": None, "cut": cut, "kinds": kinds, "more": _more(made)}


def _more(made: Made) -> str | None:
    """What turns of chat messages bring beside role and content."""
    own = [value for name, value in made.row.items() if name not in made.kept]
    turns = [turn for value in own if is_chat(value) for turn in value if isinstance(turn, dict)]
    return ", ".join(sorted({key for turn in turns for key in turn} - _PLAIN)) or None


@dataclass(frozen=True)
class _Build:
    normaliser: Normaliser

    def __call__(self, row: dict[str, Any], index: int) -> dict[str, Any]:
        return self.normaliser(row, index).row


def kinds_of(normaliser: Normaliser, made: Made) -> str:
    """What the columns of the contract hold in a row, such as `prompt is text`."""
    own = {name: value for name, value in made.row.items() if name not in made.kept}
    return ", ".join(f"{name} is {_kind(value)}" for name, value in own.items())


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "chat" if isinstance(value[0], dict) else f"a list of {_kind(value[0])}"
    return {str: "text", bool: "true or false"}.get(type(value), "a number")


def _check_kinds(name: str, kinds: list[str | None], keep: list[int]) -> None:
    first = kinds[keep[0]]
    for index in keep:
        if kinds[index] != first:
            raise DataError(
                f"{name}: rows are of different kinds: in row {keep[0]} {first}, and in row "
                f"{index} {kinds[index]}"
            )


def _features(source: Features, normaliser: Normaliser, first: Made, more: bool) -> Features:
    """The types of the columns that are built; those that are kept have their own.

    `more`: whether turns bring more than role and content.
    """
    import datasets

    made: dict[str, Any] = {}
    roles = normaliser.columns
    text = datasets.Value("string")
    for name, value in first.row.items():
        read = source.get(roles.get(name, name))
        if name in first.kept:
            made[name] = source[name]
        elif isinstance(value, str):
            made[name] = text
        elif is_chat(value) and isinstance(value[0], dict):
            made[name] = _chat([source[column] for column in roles.values()] if more else [])
        elif isinstance(value, list):
            whole = isinstance(value[0], int)
            made[name] = (
                read
                if whole and _classes(read)
                else datasets.List(datasets.Value("int64") if whole else text)
            )
        elif isinstance(value, bool):
            made[name] = datasets.Value("bool")
        else:
            made[name] = read if _classes(read) else datasets.Value("int64")
    return datasets.Features(made)


def _classes(feature: Any) -> bool:
    """Whether the names of the classes go with a column of numbers."""
    import datasets

    return isinstance(getattr(feature, "feature", feature), datasets.ClassLabel)


def _chat(sources: list[Any]) -> Any:
    """The type of chat messages that bring what columns of these types have beside the text."""
    import datasets

    text = datasets.Value("string")
    turns: dict[str, Any] = {"role": text, "content": text}
    for source in sources:
        inner = getattr(source, "feature", source)
        if isinstance(inner, datasets.Json):
            return datasets.List(datasets.Json())
        if isinstance(inner, dict):
            unread = {*_PLAIN, "from", "value"}
            turns |= {key: kind for key, kind in inner.items() if key not in unread}
    return datasets.List(turns)
