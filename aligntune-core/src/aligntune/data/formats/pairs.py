"""Formats of a prompt and what completes it, and plain text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aligntune.data.formats.base import Format, Role, Values
from aligntune.data.formats.values import filled, is_chat, messages_of, prompt_of, text_of

__all__ = ["ALPACA", "CHAT", "DOLLY", "PROMPT", "PROMPT_COMPLETION", "SHAREGPT", "TEXT", "pair"]

USUAL_PROMPTS = ("query", "problem", "task", "input")
USUAL_COMPLETIONS = ("solution", "target", "reply", "code")
_INPUT = Role("input", ("input", "context"), ("input_column", "context_column"), optional=True)
_INSTRUCTION = Role("prompt", ("instruction",), ("instruction_column",))
ASKED = Role("prompt", ("prompt", "question", "instruction"), ("instruction_column",),
             USUAL_PROMPTS)  # fmt: skip
COMPLETION = Role("completion", ("completion", "response", "output", "answer"),
                  ("response_column", "output_column"), USUAL_COMPLETIONS)  # fmt: skip


def pair(values: Values) -> dict[str, Any]:
    """A prompt and, where the row has one, its completion."""
    prompt = prompt_of(values["prompt"], "prompt")
    more = text_of(values.get("input"), "input")
    if isinstance(prompt, str) and more.strip():
        prompt = f"{prompt}\n\n{more}"
    if "completion" not in values:
        return {"prompt": prompt}
    prompt, completion = chat_pair(prompt, prompt_of(values["completion"], "completion"))
    return {"prompt": prompt, "completion": completion}


def chat_pair(prompt: Any, completion: Any) -> tuple[Any, Any]:
    """Prompt and completion, both as text or both as chat messages."""
    if is_chat(prompt) and not is_chat(completion):
        completion = [{"role": "assistant", "content": completion}]
    if is_chat(completion) and not is_chat(prompt):
        prompt = [{"role": "user", "content": prompt}]
    return prompt, completion


def _text(values: Values) -> dict[str, Any]:
    return {"text": filled(text_of(values["text"], "text"), "text")}


def _messages(values: Values) -> dict[str, Any]:
    return {"messages": messages_of(values["messages"], "messages")}


ALPACA = Format(
    "alpaca",
    "prompt and completion",
    (_INSTRUCTION, Role("completion", ("output",), ("output_column",)), _INPUT),
    pair,
)
DOLLY = Format(
    "dolly",
    "prompt and completion",
    (_INSTRUCTION, Role("completion", ("response",), ("response_column",)), _INPUT),
    pair,
)
PROMPT_COMPLETION = Format(
    "prompt_completion",
    "prompt and completion",
    (ASKED, COMPLETION),
    pair,
    ("question_answer", "qa", "instruction"),
)
PROMPT = Format(
    "prompt",
    "prompt",
    (replace(ASKED, known=("prompt", "question")), replace(COMPLETION, optional=True)),
    pair,
)
TEXT = Format(
    "text",
    "text",
    (Role("text", ("text",), ("text_column",), ("content", "body", "document")),),
    _text,
    ("plain_text", "raw"),
)
CHAT = Format(
    "chat",
    "messages",
    (Role("messages", ("messages", "conversation"), ("messages_column",), ("chat", "dialog")),),
    _messages,
    ("messages", "chatml", "openai"),
)
SHAREGPT = Format(
    "sharegpt",
    "messages",
    (Role("messages", ("conversations",), ("messages_column",)),),
    _messages,
    ("conversations",),
)
