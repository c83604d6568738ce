"""A data set of a real, checkable task: the sum of two numbers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["addition_rows", "preference_rows", "write_jsonl"]


def addition_rows(
    count: int, *, seed: int = 0, largest: int = 99, chat: bool = False
) -> list[dict[str, Any]]:
    """Return `count` different problems in a random order that depends on the seed alone.

    Args:
        count: at most (largest + 1) ** 2.
        seed: seed of the choice.
        largest: largest number to add.
        chat: prompts and completions as chat messages instead of strings.

    Returns:
        rows of `prompt` ("37+45="), `completion` ("82") and `answer` ("82").
    """
    pairs = random.Random(seed).sample(range((largest + 1) ** 2), count)  # noqa: S311 (no secret)
    return [_row(*divmod(pair, largest + 1), chat) for pair in pairs]


def preference_rows(
    count: int, *, seed: int = 0, largest: int = 99, chat: bool = False
) -> list[dict[str, Any]]:
    """The problems of `addition_rows`; the sum is `chosen`, another number `rejected`.

    Returns:
        rows of `prompt` ("37+45="), `chosen` ("82"), `rejected` ("83") and `answer` ("82").
    """
    rows = addition_rows(count, seed=seed, largest=largest, chat=chat)
    return [
        {
            "prompt": row["prompt"],
            "chosen": row["completion"],
            "rejected": _said(str(int(row["answer"]) + 1), chat),
            "answer": row["answer"],
        }
        for row in rows
    ]


def _said(text: str, chat: bool) -> Any:
    return [{"role": "assistant", "content": text}] if chat else text


def _row(left: int, right: int, chat: bool) -> dict[str, Any]:
    prompt, answer = f"{left}+{right}=", str(left + right)
    if not chat:
        return {"prompt": prompt, "completion": answer, "answer": answer}
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": _said(answer, chat),
        "answer": answer,
    }


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows to a JSONL file and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
