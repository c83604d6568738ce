"""Pairs as tokens: what TRL's DPOTrainer makes of them, for the trainers that make something else.

Those of `trl.experimental` put a second end behind a chat, cut by the wrong length in some
releases, and train on prompts without the tokens that the tokenizer puts before a text.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from aligntune.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

__all__ = ["collatable", "tokenized", "with_a_difference"]

logger = logging.getLogger("aligntune")

_IGNORED = -100


def tokenized(rows: Dataset, tokenizer: PreTrainedTokenizerBase, processes: int | None) -> Dataset:
    """Rows with `prompt_ids`, `chosen_ids` and `rejected_ids` in place of the texts or chats.

    A text ends with the tokenizer's end-of-sequence token, a chat as its template ends it. A
    completion begins where the tokens of prompt and completion leave those of the prompt alone.
    """

    def tokenize(row: dict[str, Any]) -> dict[str, list[int]]:
        prompt = _ids(tokenizer, row, None)
        whole = [_ids(tokenizer, row, name) for name in ("chosen", "rejected")]
        shared = min(_shared(prompt, ids) for ids in whole)
        return {
            "prompt_ids": prompt[:shared],
            "chosen_ids": whole[0][shared:],
            "rejected_ids": whole[1][shared:],
        }

    texts = [n for n in ("prompt", "chosen", "rejected", "tools") if n in rows.column_names]
    return rows.map(tokenize, remove_columns=texts, num_proc=processes)


def _ids(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], name: str | None) -> list[int]:
    prompt = row["prompt"]
    if isinstance(prompt, str):
        text = prompt if name is None else prompt + row[name]
        end = str(tokenizer.eos_token)
        if name is not None and not text.endswith(end):
            text += end
        return list(tokenizer(text)["input_ids"])
    tools = row.get("tools")
    encoded: Any = tokenizer.apply_chat_template(
        prompt if name is None else prompt + row[name],
        tools=json.loads(tools) if isinstance(tools, str) else tools,
        add_generation_prompt=name is None,
        return_dict=True,
    )
    return list(encoded["input_ids"])


def _shared(ids: list[int], others: list[int]) -> int:
    pairs = zip(ids, others, strict=False)
    return next(
        (i for i, (one, other) in enumerate(pairs) if one != other), min(len(ids), len(others))
    )


def with_a_difference(rows: Dataset, given: int, limit: int | None, stays: str) -> Dataset:
    """The pairs in which chosen and rejected differ within what is kept of them.

    Args:
        rows: tokenized.
        given: how many pairs there were.
        limit: tokens of prompt and completion that are kept; None for all.
        stays: which end of them, `keep_start` or `keep_end`.

    Raises:
        DataError: if no pair is left.
    """
    kept = rows.filter(_differs, fn_kwargs={"limit": limit, "stays": stays})
    if len(kept) < given:
        said = (
            f"of {given - len(kept)} of {given} pairs nothing in which chosen and rejected differ "
            f"fits into {limit} tokens"
        )
        if len(kept) == 0:
            raise DataError(f"{said}; raise `model.max_seq_length`")
        logger.warning("%s: they are left out", said)
    return kept


def _differs(row: dict[str, Any], limit: int | None, stays: str) -> bool:
    """Whether chosen and rejected are two sequences in what TRL's collator leaves of them."""
    kept = slice(None, limit) if stays == "keep_start" or limit is None else slice(-limit, None)
    prompt = row["prompt_ids"]
    return bool((prompt + row["chosen_ids"])[kept] != (prompt + row["rejected_ids"])[kept])


def collatable(row: dict[str, Any], limit: int | None) -> dict[str, list[int]]:
    """A tokenized pair as TRL's collator for pairs takes it, cut at its end to `limit` tokens."""
    prompt = row["prompt_ids"]
    made = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
    for name in ("chosen", "rejected"):
        said = row[f"{name}_ids"]
        made[f"{name}_input_ids"] = (prompt + said)[:limit]
        made[f"{name}_attention_mask"] = [1] * len(made[f"{name}_input_ids"])
        made[f"{name}_labels"] = ([_IGNORED] * len(prompt) + said)[:limit]
    return made
