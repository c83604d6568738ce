"""Formats with labels: one for a text, or one for each word."""

from __future__ import annotations

import re
from typing import Any

from aligntune.data.formats.base import Format, LeaveOut, Role, Values
from aligntune.data.formats.values import filled, shown, text_of
from aligntune.errors import DataError

__all__ = ["TEXT_CLASSIFICATION", "TOKEN_CLASSIFICATION"]

_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")


def _label(value: Any, name: str) -> int | str:
    """A class: its number (0 or more) or its name."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        said = filled(text_of(value, name), name)
        return int(said) if _NUMBER.fullmatch(said) else said  # as a CSV file has numbers
    if value is None or value != value:  # noqa: PLR0124 (NaN, an empty CSV field)
        raise LeaveOut(f"the {name} is empty")
    raise DataError(f"the {name} is {shown(value)}; expected a whole number or a name")


def _classified(values: Values) -> dict[str, Any]:
    text = filled(text_of(values["text"], "text"), "text")
    label = _label(values["label"], "label")
    if isinstance(label, int) and label < 0:
        raise LeaveOut("the label is negative, which stands for none")
    return {"text": text, "label": label}


def _tagged(values: Values) -> dict[str, Any]:
    tokens, tags = values["tokens"], values["tags"]
    for name, value in (("tokens", tokens), ("tags", tags)):
        if value is None or value == []:
            raise LeaveOut(f"the {name} are empty")
        if not isinstance(value, list):
            raise DataError(f"the {name} are {shown(value)}; expected a list")
    if len(tokens) != len(tags):
        raise LeaveOut("there are not as many tags as tokens")
    words = [filled(text_of(token, "tokens"), "text of a token") for token in tokens]
    labels = [_label(tag, "tag of a token") for tag in tags]
    if len({type(label) for label in labels}) > 1:
        raise DataError(f"the tags are {shown(tags)}; expected numbers alone, or names alone")
    return {"tokens": words, "tags": labels}


TEXT_CLASSIFICATION = Format(
    "text_classification",
    "text and label",
    (
        Role("text", ("text",), ("text_column",), ("sentence", "content", "review", "document")),
        Role("label", ("label",), ("label_column",), ("labels", "class", "category", "target")),
    ),
    _classified,
    ("classification",),
)
TOKEN_CLASSIFICATION = Format(
    "token_classification",
    "tokens and tags",
    (
        Role("tokens", ("tokens",), ("tokens_column",), ("words",)),
        Role("tags", ("ner_tags", "tags"), ("tags_column",), ("labels", "pos_tags")),
    ),
    _tagged,
    ("ner",),
)
