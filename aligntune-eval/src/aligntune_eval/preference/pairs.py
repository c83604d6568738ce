"""Rows to pairs of completions, and pairs to the tokens that DPO trains on.

What a row may look like is what DPO accepts: texts or chats, with the prompt apart or shared by
both conversations. A text ends with the end-of-sequence token, a chat as its template ends it, and
both completions begin where the shorter common beginning with the prompt's tokens ends, as in TRL's
`DPOTrainer`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.data.formats.base import LeaveOut
from aligntune.data.formats.preference import PREFERENCE, PREFERENCE_IMPLICIT
from aligntune.data.formats.values import shared_length
from aligntune.errors import DataError, EvaluationError
from aligntune.scoring.conversation import completion_text
from aligntune_eval.asking.tokens import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.evaluation import EvaluationSettings
    from aligntune.evaluation.columns import Rows

__all__ = ["Pair", "Pairs", "pairs_of", "targets_of"]

_SIDES = ("chosen", "rejected")


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt: all three are texts, or all three lists of chat messages.

    `row`: number of the row. `arguments`: of the chat template, beside those of the settings.
    """

    row: int
    prompt: Any
    chosen: Any
    rejected: Any
    arguments: Mapping[str, Any]

    def text(self, side: str) -> str:
        """The `chosen` or `rejected` answer as text."""
        return completion_text(getattr(self, side))


@dataclass(frozen=True)
class Pairs:
    """The pairs of rows, and how many rows are none, by the reason."""

    found: list[Pair]
    left_out: Mapping[str, int]

    def spread(self, values: list[float], rows: int) -> list[float | None]:
        """One value per row, None for those that hold no pair, of one value per pair."""
        by_row = {pair.row: value for pair, value in zip(self.found, values, strict=True)}
        return [by_row.get(row) for row in range(rows)]


def pairs_of(who: str, rows: Rows, settings: EvaluationSettings) -> Pairs:
    """The pairs of rows; what DPO would leave out (equal or empty answers) is left out here too.

    Raises:
        EvaluationError: names the evaluator, and the row and column that hold something else; or if
            no row holds a pair.
    """
    found: list[Pair] = []
    left_out: Counter[str] = Counter()
    for index, row in enumerate(rows):
        try:
            found.append(_pair(index, row, settings.prompt_column))
        except LeaveOut as reason:
            left_out[reason.reason] += 1
        except DataError as error:
            raise EvaluationError(f"evaluator {who!r}: row {index}: {error}") from error
    if not found:
        reasons = ", ".join(f"{reason} ({count} rows)" for reason, count in left_out.items())
        raise EvaluationError(f"evaluator {who!r}: no row holds a pair to compare: {reasons}")
    return Pairs(found, left_out)


def _pair(index: int, row: Mapping[str, Any], prompt_column: str) -> Pair:
    values = {name: row.get(name) for name in _SIDES}
    if row.get(prompt_column) is not None:
        made = PREFERENCE.build({**values, "prompt": row[prompt_column]})
    else:
        made = PREFERENCE_IMPLICIT.build(values)
    tools = row.get("tools")
    arguments = dict(row.get("chat_template_kwargs") or {})
    if tools is not None:
        arguments["tools"] = json.loads(tools) if isinstance(tools, str) else tools
    return Pair(index, made["prompt"], made["chosen"], made["rejected"], arguments)


def targets_of(pair: Pair, tokenizer: Any, settings: EvaluationSettings) -> tuple[Target, Target]:
    """What is scored of a pair: the tokens of the chosen answer, and of the rejected one.

    Raises:
        EvaluationError: if there is no chat template for messages, or no end-of-sequence token.
    """
    prompt = _ids(pair, None, tokenizer, settings)
    both = [_ids(pair, getattr(pair, side), tokenizer, settings) for side in _SIDES]
    # The first token of a sequence follows nothing, so that it has no probability.
    first = max(1, min(shared_length(prompt, ids) for ids in both))
    for side, ids in zip(_SIDES, both, strict=True):
        if len(ids) <= first:
            raise EvaluationError(f"the {side} answer of row {pair.row} has no token to score")
    chosen, rejected = (
        Target(ids, first, len(pair.text(side).encode()))
        for side, ids in zip(_SIDES, both, strict=True)
    )
    return chosen, rejected


def _ids(pair: Pair, answer: Any, tokenizer: Any, settings: EvaluationSettings) -> list[int]:
    """Token ids of the prompt alone, or with an answer behind it."""
    if isinstance(pair.prompt, str):
        if tokenizer.eos_token is None:
            raise EvaluationError(
                "the tokenizer has no end-of-sequence token, with which an answer that is text "
                "ends; set its `eos_token`"
            )
        text = pair.prompt
        if answer is not None:
            text += answer.removesuffix(tokenizer.eos_token) + tokenizer.eos_token
        ids: list[int] = tokenizer(text)["input_ids"]
        return ids
    if tokenizer.chat_template is None:
        raise EvaluationError(
            f"row {pair.row} holds chat messages, and the tokenizer has no chat template; save one "
            "with the model, or give text"
        )
    encoded: Any = tokenizer.apply_chat_template(
        pair.prompt if answer is None else pair.prompt + answer,
        add_generation_prompt=answer is None,
        return_dict=True,
        **{**settings.chat_template_kwargs, **pair.arguments},
    )
    return list(encoded["input_ids"])
