"""Rows to token ids: prompts that a model continues, and sequences that it is scored on.

Chat messages go through the tokenizer's chat template; strings are tokenized as they are. Prompt
and completion are tokenized together and split where the tokens of the prompt alone end, as TRL's
SFT trainer does, so that the tokens scored are the ones trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.scoring.conversation import is_conversation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aligntune.evaluation import EvaluationSettings

__all__ = [
    "Prompt",
    "Target",
    "continuation_of",
    "prompt_of",
    "prompts_of",
    "target_of",
    "tokens_of",
]


@dataclass(frozen=True)
class Prompt:
    """What a model is given to continue: the text as rendered, and its token ids."""

    text: str
    ids: list[int]


@dataclass(frozen=True)
class Target:
    """A sequence to score: the tokens `ids[first:]`, which stand for `bytes` bytes of UTF-8.

    `first` is at least 1: what comes before it is context that is not scored.
    """

    ids: list[int]
    first: int
    bytes: int

    @property
    def tokens(self) -> int:
        """How many tokens are scored."""
        return len(self.ids) - self.first


def prompt_of(row: Mapping[str, Any], tokenizer: Any, settings: EvaluationSettings) -> Prompt:
    """The prompt of a row, ready for the model.

    Raises:
        EvaluationError: if it is neither text nor messages, or there is no chat template for it.
    """
    return prompts_of([row], tokenizer, settings)[0]


def prompts_of(
    rows: Sequence[Mapping[str, Any]], tokenizer: Any, settings: EvaluationSettings
) -> list[Prompt]:
    """The prompts of rows; all texts of a kind go through the tokenizer in one call.

    Raises:
        EvaluationError: as `prompt_of`.
    """
    name = settings.prompt_column
    texts = [_rendered(row[name], tokenizer, settings, name) for row in rows]
    ids: dict[int, list[int]] = {}
    for special in (True, False):
        places = [i for i, row in enumerate(rows) if isinstance(row[name], str) is special]
        if places:
            made = tokenizer([texts[i] for i in places], add_special_tokens=special)["input_ids"]
            open_ended = [
                _open(texts[i], each, tokenizer) for i, each in zip(places, made, strict=True)
            ]
            ids.update(zip(places, open_ended, strict=True))
    return [Prompt(text, ids[i] or [_prefix(tokenizer)]) for i, text in enumerate(texts)]


def continuation_of(before: str, after: str, tokenizer: Any, *, special: bool = True) -> Target:
    """The text `after`, to be scored given the text `before`, split as lm-eval splits them.

    White space that ends `before` belongs to the continuation, since tokens begin with it; both are
    tokenized together, and what is longer than the tokens of `before` alone is the continuation.

    Args:
        before: the context as the model reads it.
        after: what follows it.
        tokenizer: of the model.
        special: whether the tokenizer adds its special tokens, as to plain text.
    """
    kept = before.rstrip()
    size = len(after.encode())
    after = before[len(kept) :] + after
    if not kept:
        return Target([_prefix(tokenizer), *_ids(after, tokenizer, special=False)], 1, size)
    context, ids = (
        _open(text, _ids(text, tokenizer, special=special), tokenizer)
        for text in (kept, kept + after)
    )
    first = len(context)
    return Target(ids, first, size) if first else Target([_prefix(tokenizer), *ids], 1, size)


def target_of(
    row: Mapping[str, Any], tokenizer: Any, settings: EvaluationSettings, *, special: bool = False
) -> Target:
    """What to score of a row: the completion given the prompt, else the whole text or conversation.

    Running text is scored from its first token on, given the beginning-of-sequence token (where the
    tokenizer has none, the end-of-sequence token), as lm-eval's `loglikelihood_rolling` does.
    `special`: what the tokenizer adds to running text is scored, too.

    Raises:
        EvaluationError: if a value is neither text nor messages, or there is no chat template.
    """
    prompt, completion = row.get(settings.prompt_column), row.get("completion")
    if prompt is not None and completion is not None:
        return _completion(prompt, completion, tokenizer, settings)
    name = "text" if row.get("text") is not None else "messages"
    text = _rendered(row[name], tokenizer, settings, name, open_turn=False)
    if tokenizer.bos_token is not None:
        text = text.removeprefix(tokenizer.bos_token)
    ids = [_prefix(tokenizer), *_ids(text, tokenizer, special=special and name == "text")]
    return Target(ids, 1, len(text.encode()))


def _completion(
    prompt: object, completion: object, tokenizer: Any, settings: EvaluationSettings
) -> Target:
    before = _rendered(prompt, tokenizer, settings, settings.prompt_column)
    special = isinstance(prompt, str)
    if isinstance(prompt, str) and isinstance(completion, str):
        whole = prompt + completion
    elif is_conversation(prompt) and is_conversation(completion):
        turns = [*_listed(prompt), *_listed(completion)]
        whole = _rendered(turns, tokenizer, settings, "completion", open_turn=False)
    else:
        raise EvaluationError(
            f"the prompt is {type(prompt).__name__}, the completion {type(completion).__name__}; "
            "both must be text, or both messages"
        )
    ids, prompt_ids = (_ids(text, tokenizer, special=special) for text in (whole, before))
    first = _common(ids, prompt_ids)
    size = len(whole[_common(whole, before) :].encode())
    return Target(ids, first, size) if first else Target([_prefix(tokenizer), *ids], 1, size)


def tokens_of(texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
    """The token ids of texts as they stand, without special tokens."""
    made: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return made


def _rendered(
    value: object,
    tokenizer: Any,
    settings: EvaluationSettings,
    column: str,
    *,
    open_turn: bool = True,
) -> str:
    """The text of a value; messages go through the chat template, up to where the answer begins."""
    if isinstance(value, str):
        return value
    if not is_conversation(value) or not (messages := _listed(value)):
        raise EvaluationError(
            f"{column!r} must hold text or chat messages (a list of `role` and `content`), "
            f"not {value!r}"
        )
    if tokenizer.chat_template is None:
        raise EvaluationError(
            f"{column!r} holds chat messages, and the tokenizer has no chat template; "
            "save one with the model, or give text"
        )
    answering = open_turn and messages[-1].get("role") != "assistant"
    text: str = tokenizer.apply_chat_template(
        messages,
        tokenize=False,
        add_generation_prompt=answering,
        continue_final_message=open_turn and not answering,
        **settings.chat_template_kwargs,
    )
    return text


def _listed(value: Any) -> list[dict[str, Any]]:
    return [dict(message) for message in value]


def _ids(text: str, tokenizer: Any, *, special: bool) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=special)["input_ids"]
    return ids


def _open(text: str, ids: list[int], tokenizer: Any) -> list[int]:
    """Without the end-of-sequence token that some tokenizers put behind a text of their own."""
    end = tokenizer.eos_token_id
    closed = end is not None and ids[-1:] == [end] and not text.endswith(tokenizer.eos_token)
    return ids[:-1] if closed else ids


def _prefix(tokenizer: Any) -> int:
    """The token that stands before a text."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise EvaluationError(
        "the tokenizer has neither a beginning- nor an end-of-sequence token, so there is nothing "
        "that the first token of a text could follow; set its `eos_token`"
    )


def _common(left: Sequence[object], right: Sequence[object]) -> int:
    """Length of the longest common beginning."""
    pairs = zip(left, right, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
