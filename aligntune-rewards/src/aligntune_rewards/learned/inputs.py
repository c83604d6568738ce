"""What a model reads of a prompt and a completion, as token ids, and batches of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, get_args

from aligntune.scoring.conversation import is_conversation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aligntune.scoring import RewardBatch
    from aligntune_rewards.learned.models import Loaded

__all__ = ["Form", "batches", "encoded", "messages_of", "padded", "plain"]

logger = logging.getLogger("aligntune")

Form = Literal["auto", "chat", "pair", "concat", "text", "completion"]
Encoding = dict[str, list[int]]


def messages_of(value: Any, role: str) -> list[dict[str, Any]]:
    """Messages, or a text as the one message of that role."""
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return [dict(message) for message in value]


def plain(prompt: Any) -> str:
    """A prompt as text; of messages, their contents one below the other."""
    if not is_conversation(prompt):
        return str(prompt)
    return "\n".join(str(message.get("content") or "") for message in prompt)


def encoded(
    batch: RewardBatch, loaded: Loaded, form: Form, max_length: int, said_by: str
) -> list[Encoding]:
    """Token ids (and whatever else the model reads) of each completion with its prompt.

    `chat` puts both through the chat template; `pair` gives a text pair; `concat` one text;
    `text` is that text with the end-of-sequence token, as TRL's RewardTrainer reads rows of text;
    `completion` leaves the prompt out; `auto` is what the model was trained on, where that is noted
    (`reward_inputs` in its tokenizer's configuration), else `chat` if the tokenizer has a template,
    else `pair`. What is longer than `max_length` tokens loses its beginning, and is counted in the
    log.

    Raises:
        ValueError: if prompts are needed and none are given.
    """
    with loaded.lock:
        return _encoded(batch, loaded, form, max_length, said_by)


def _encoded(
    batch: RewardBatch, loaded: Loaded, form: Form, max_length: int, said_by: str
) -> list[Encoding]:
    tokenizer = loaded.tokenizer
    if form == "auto":
        form = trained_form(loaded)
    if form != "completion" and batch.prompts is None:
        raise ValueError("it scores a completion with its prompt, and no prompts are given")
    texts, pairs = _texts(batch, tokenizer, form)
    more: dict[str, Any] = {"add_special_tokens": form != "chat"}
    whole = _listed(tokenizer(texts, pairs, verbose=False, **more), len(texts))
    long = [i for i, encoding in enumerate(whole) if len(encoding["input_ids"]) > max_length]
    if long:
        logger.warning(
            "%s: %d of %d inputs are longer than %d tokens and lost their beginning",
            said_by,
            len(long),
            len(whole),
            max_length,
        )
        cut = tokenizer(
            [texts[i] for i in long],
            None if pairs is None else [pairs[i] for i in long],
            truncation=True,
            max_length=max_length,
            **more,
        )
        for index, encoding in zip(long, _listed(cut, len(long)), strict=True):
            whole[index] = encoding
    return [
        encoding if encoding["input_ids"] else _blank(tokenizer, encoding) for encoding in whole
    ]


def trained_form(loaded: Loaded) -> Form:
    """The form that AlignTune noted with the tokenizer when it trained the model, or a usual one.

    Raises:
        ValueError: if the note is none of the forms.
    """
    noted: Any = loaded.tokenizer.init_kwargs.get("reward_inputs")
    if noted is None:
        return "pair" if loaded.tokenizer.chat_template is None else "chat"
    if noted not in get_args(Form):
        forms = ", ".join(get_args(Form))
        raise ValueError(f"the model notes reward_inputs {noted!r}; it is one of {forms}")
    found: Form = noted
    return found


def _blank(tokenizer: Any, encoding: Encoding) -> Encoding:
    """One token for a text of none, where the tokenizer adds none of its own.

    Raises:
        ValueError: if it has neither an end-of-sequence nor a padding token.
    """
    ids = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    token = next((i for i in ids if i is not None), None)
    if token is None:
        raise ValueError("a text is empty, and the tokenizer has no token that stands for nothing")
    return {name: [0] for name in encoding} | {"input_ids": [token], "attention_mask": [1]}


def _texts(batch: RewardBatch, tokenizer: Any, form: Form) -> tuple[list[str], list[str] | None]:
    completions = list(batch.texts)
    if form == "completion" or batch.prompts is None:
        return completions, None
    if form == "chat":
        said = batch.texts if batch.messages is None else batch.messages
        return [
            tokenizer.apply_chat_template(
                [*messages_of(prompt, "user"), *messages_of(answer, "assistant")], tokenize=False
            )
            for prompt, answer in zip(batch.prompts, said, strict=True)
        ], None
    prompts = [plain(prompt) for prompt in batch.prompts]
    if form == "pair":
        return prompts, completions
    joined = [prompt + text for prompt, text in zip(prompts, completions, strict=True)]
    if form == "text":
        end = str(tokenizer.eos_token)
        joined = [text if text.endswith(end) else text + end for text in joined]
    return joined, None


def _listed(columns: Any, count: int) -> list[Encoding]:
    return [{name: columns[name][index] for name in columns} for index in range(count)]


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices in groups of at most `size`, the longest first, so that little is padded."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    for start in range(0, len(order), size):
        yield order[start : start + size]


def padded(encodings: Sequence[Encoding], loaded: Loaded) -> Any:
    """One batch of tensors on the model's device, padded on the right."""
    with loaded.lock:
        made = loaded.tokenizer.pad(list(encodings), padding_side="right", return_tensors="pt")
    return made.to(loaded.model.device)
