"""The column contracts: what rows look like when they reach an algorithm.

| Contract | Columns |
|---|---|
| `language-modelling` | `messages`, or `prompt` and `completion`, or `text` |
| `prompt` | `prompt`; every other column reaches the rewards |
| `preference` | `prompt`, `chosen`, `rejected` |
| `unpaired-preference` | `prompt`, `completion`, `label` (bool); or as `preference` |
| `text-classification` | `text`, `label` (a class's number, or its name) |
| `token-classification` | `tokens`, `tags`, which are of one length (numbers, or names) |

Prompts, completions, chosen and rejected are texts, or lists of chat messages: all of a row the one
or all the other. `messages` and `text` are what their names say. None of them is empty. Which
contract applies is said by the algorithm's manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aligntune.data.formats.base import Format, LeaveOut
from aligntune.data.formats.labels import TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION
from aligntune.data.formats.pairs import (
    ALPACA,
    CHAT,
    DOLLY,
    PROMPT,
    PROMPT_COMPLETION,
    SHAREGPT,
    TEXT,
)
from aligntune.data.formats.preference import PREFERENCE, PREFERENCE_IMPLICIT, UNPAIRED
from aligntune.data.formats.values import is_chat
from aligntune.enums import TaskType

__all__ = ["CONTRACTS", "Contract", "Made"]

_TEXT_TASKS = (
    TaskType.INSTRUCTION_FOLLOWING,
    TaskType.SUPERVISED_FINE_TUNING,
    TaskType.TEXT_GENERATION,
    TaskType.CHAT_COMPLETION,
    TaskType.CONVERSATION,
)
NOT_ASSISTANT = "turns behind the assistant's last one"


@dataclass
class Made:
    """A row that meets a contract, what was taken out of it, and its columns that were kept."""

    row: dict[str, Any]
    cut: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """A contract.

    Args:
        name: as manifests have it.
        wanted: its columns, for messages.
        formats: those that it can be met from, the first that rows have is taken.
        finish: from a row as its format gives it to one that meets the contract.
        columns: those that rows may have once they meet it.
        tasks: the `task_type`s that it is for.
        unread: roles of formats that it has no use for.
        chats: whether rows may be chats, to which a system prompt and tools belong.
    """

    name: str
    wanted: str
    formats: tuple[Format, ...]
    finish: Callable[[dict[str, Any]], Made]
    columns: tuple[str, ...]
    tasks: tuple[TaskType, ...] = _TEXT_TASKS
    unread: tuple[str, ...] = ()
    chats: bool = True


def _language(row: dict[str, Any]) -> Made:
    column = "messages" if "messages" in row else "completion"
    turns = row.get(column)
    if turns is None or not is_chat(turns):
        return Made(row)
    kept = _answered(turns)
    if not kept:
        raise LeaveOut("no turn of the assistant to train on")
    if column == "messages" and not any(_asks(turn) for turn in kept):
        raise LeaveOut("no turn of the user")
    return Made({**row, column: kept}, () if len(kept) == len(turns) else (NOT_ASSISTANT,))


def _answered(turns: list[Any]) -> list[Any]:
    """The turns up to the assistant's last one."""
    last = next((i for i in reversed(range(len(turns))) if turns[i]["role"] == "assistant"), -1)
    return turns[: last + 1]


def _asks(turn: dict[str, Any]) -> bool:
    return turn["role"] in ("user", "tool")


def _prompt(row: dict[str, Any]) -> Made:
    if "messages" not in row:
        return Made({"prompt": row["prompt"]})
    turns = list(row["messages"])
    while turns and turns[-1]["role"] == "assistant":
        turns.pop()
    if not any(_asks(turn) for turn in turns):
        raise LeaveOut("no turn of the user before the assistant's last one")
    return Made({"prompt": turns})


def _unpaired(row: dict[str, Any]) -> Made:
    return _preference(row) if "chosen" in row else Made(row)


def _preference(row: dict[str, Any]) -> Made:
    for name in ("chosen", "rejected"):
        if is_chat(row[name]) and row[name][-1]["role"] != "assistant":
            raise LeaveOut(f"the {name} does not end with a turn of the assistant")
    return Made(row)


_PREFERENCES = (PREFERENCE, PREFERENCE_IMPLICIT)
CONTRACTS = {
    contract.name: contract
    for contract in (
        Contract(
            "language-modelling",
            "`messages`, or `prompt` and `completion`, or `text`",
            (CHAT, SHAREGPT, ALPACA, DOLLY, PROMPT_COMPLETION, TEXT),
            _language,
            ("messages", "prompt", "completion", "text", "tools"),
        ),
        Contract(
            "prompt",
            "`prompt`, or `messages`",
            (PROMPT, DOLLY, ALPACA, CHAT, SHAREGPT, PROMPT_COMPLETION, *_PREFERENCES),
            _prompt,
            ("prompt",),
            unread=("completion",),
        ),
        Contract(
            "preference",
            "`prompt`, `chosen` and `rejected`, or `chosen` and `rejected` that begin alike",
            _PREFERENCES,
            _preference,
            ("prompt", "chosen", "rejected", "tools"),
        ),
        Contract(
            "unpaired-preference",
            "`prompt`, `completion` and `label`, or pairs of `prompt`, `chosen` and `rejected`",
            (UNPAIRED, *_PREFERENCES),
            _unpaired,
            ("prompt", "completion", "label", "chosen", "rejected", "tools"),
        ),
        Contract(
            "text-classification",
            "`text` and `label`",
            (TEXT_CLASSIFICATION,),
            Made,
            ("text", "label"),
            (TaskType.TEXT_CLASSIFICATION,),
            chats=False,
        ),
        Contract(
            "token-classification",
            "`tokens` and `ner_tags`",
            (TOKEN_CLASSIFICATION,),
            Made,
            ("tokens", "tags"),
            (TaskType.TOKEN_CLASSIFICATION,),
            chats=False,
        ),
    )
}
