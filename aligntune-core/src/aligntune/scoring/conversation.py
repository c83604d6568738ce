"""Text out of conversations: prompts and completions are plain text or lists of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aligntune.errors import DataError

__all__ = ["completion_text", "is_conversation", "prompt_text"]


def is_conversation(value: object) -> bool:
    """Whether this is a list of messages, such as `[{"role": "user", "content": "Hi"}]`."""
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)


def completion_text(completion: object) -> str:
    """The text of a completion: itself, or what the assistant said last.

    Raises:
        DataError: if it is neither text nor a list of messages.
    """
    return _text(completion, "assistant", "a completion")


def prompt_text(prompt: object) -> str:
    """The text of a prompt: itself, or what the user said last.

    Raises:
        DataError: if it is neither text nor a list of messages.
    """
    return _text(prompt, "user", "a prompt")


def _text(value: object, role: str, what: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list | tuple) or not is_conversation(value):
        raise DataError(f"{what} is text or a list of messages, not {type(value).__name__}")
    said: Sequence[Mapping[str, Any]] = value
    for message in reversed(said):
        if message.get("role", role) == role:
            return _content(message.get("content"))
    return ""


def _content(content: object) -> str:
    """The text of a message: a string, parts of which some are text, or nothing (a tool call)."""
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        parts = (part.get("text") for part in content if isinstance(part, Mapping))
        return "".join(text for text in parts if isinstance(text, str))
    return ""
