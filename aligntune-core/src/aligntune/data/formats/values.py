"""Single values of a row: text, chat messages, and what is left out or refused of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from aligntune.data.formats.base import LeaveOut
from aligntune.errors import DataError

__all__ = ["filled", "is_chat", "messages_of", "prompt_of", "shared_length", "shown", "text_of"]

CHAT = "chat messages, each with `role` and `content`"
_SHOWN = 60
_ROLES = {
    **{name: name for name in ("system", "developer", "user", "assistant", "tool", "function")},
    # As ShareGPT and the tools that write its format call them.
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "bing", "bard", "model", "bot"), "assistant"),
    **dict.fromkeys(("observation", "function_response", "ipython"), "tool"),
}


def shown(value: Any) -> str:
    """A value as it is shown in a message: its beginning."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def text_of(value: Any, name: str, wanted: str = "text") -> str:
    """The text of a value; numbers, which a CSV file has no other way to say, become text.

    Returns:
        The text unchanged, and `""` for None and for the NaN of an empty CSV field.

    Raises:
        LeaveOut: if the text is no Unicode.
        DataError: if the value is no text; names what it holds.
    """
    if value is None or value != value:  # noqa: PLR0124 (NaN alone differs from itself)
        return ""
    if isinstance(value, str):
        if not value.isascii():
            _encodable(value)
        return value
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"  # an empty field makes a CSV column of whole numbers one of floats
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"the {name} is {shown(value)}; expected {wanted}")


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LeaveOut("the text is no Unicode: half of a surrogate pair") from None


def filled(text: str, name: str) -> str:
    """The text, if there is any.

    Raises:
        LeaveOut: if it is empty, or holds white space and invisible characters alone.
    """
    if all(c.isspace() or unicodedata.category(c) == "Cf" for c in text):
        raise LeaveOut(f"the {name} is empty")
    return text


def is_chat(value: Any) -> bool:
    """Whether a value is a list, as chat messages are, and no text."""
    return isinstance(value, list)


def prompt_of(value: Any, name: str) -> str | list[dict[str, Any]]:
    """Text or chat messages, with something in them."""
    if is_chat(value):
        return messages_of(value, name)
    return filled(text_of(value, name, f"text or {CHAT}"), name)


def messages_of(value: Any, name: str) -> list[dict[str, Any]]:
    """Chat messages with `role` and `content`, from those or from ShareGPT's `from` and `value`.

    Roles get their usual names; text parts of a content are joined; a system turn without text is
    dropped, and what else a turn brings (`tool_calls`, `name`) stays.

    Raises:
        LeaveOut: if there are no turns, or one is empty or of an unknown role.
        DataError: if the value is no list of messages.
    """
    if value is None:
        raise LeaveOut(f"the {name} is empty")
    if not isinstance(value, list):
        raise DataError(f"the {name} is {shown(value)}; expected {CHAT}")
    turns = [_turn(turn, value, name) for turn in value]
    kept = [turn for turn in turns if turn["role"] != "system" or turn["content"].strip()]
    if not kept:
        raise LeaveOut(f"the {name} is empty")
    return kept


def _turn(turn: Any, value: Any, name: str) -> dict[str, Any]:
    role, content = (_first(turn, keys) for keys in (("role", "from"), ("content", "value")))
    if not isinstance(role, str):
        raise DataError(f"the {name} is {shown(value)}; expected {CHAT}")
    usual = _ROLES.get(role.strip().lower())
    if usual is None:
        raise LeaveOut(f"a turn has the unknown role {shown(role)}")
    text = _content(content, name)
    rest = {
        key: more
        for key, more in turn.items()
        if key not in ("role", "from", "content", "value") and more is not None
    }
    if not text.strip() and usual not in ("system", "tool") and not rest.get("tool_calls"):
        raise LeaveOut(f"a turn of the {name} is empty")
    return {"role": usual, "content": text, **rest}


def _first(turn: Any, keys: tuple[str, str]) -> Any:
    """The value of the first key that has one: files hold every key of any row in all rows."""
    if not isinstance(turn, dict):
        return None
    return next((turn[key] for key in keys if turn.get(key) is not None), None)


def _content(content: Any, name: str) -> str:
    if not isinstance(content, list):
        return text_of(content, f"content of a turn of the {name}")
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    if not all(isinstance(part, str) for part in parts):
        raise DataError(
            f"the content of a turn of the {name} is {shown(content)}; expected text, or parts "
            "that are text"
        )
    return "".join(text_of(part, name) for part in parts)


def shared_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many turns two conversations, or characters two texts, begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
