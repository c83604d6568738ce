"""Completes a handful of prompts; batch evaluation with statistics is aligntune-eval's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from aligntune.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["complete", "prompt_ids", "prompt_length", "with_short_prompts"]

logger = logging.getLogger("aligntune")


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, prompt: Any, template_arguments: Mapping[str, Any]
) -> list[int]:
    """The tokens of a prompt (a string, or chat messages) as the model is given it.

    Raises:
        DataError: if the chat template refuses the messages; gives its reason.
    """
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    try:
        encoded: Any = tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, return_dict=True, **template_arguments
        )
    except TemplateError as error:
        roles = ", ".join(turn["role"] for turn in prompt)
        raise DataError(
            f"the chat template refuses a prompt with the turns {roles}: {error}"
        ) from error
    return list(encoded["input_ids"])


def prompt_length(
    tokenizer: PreTrainedTokenizerBase, prompt: Any, template_arguments: Mapping[str, Any]
) -> int:
    """How many tokens that are."""
    return len(prompt_ids(tokenizer, prompt, template_arguments))


def with_short_prompts(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    limit: int | None,
    template_arguments: Mapping[str, Any],
    *,
    set_by: str = "train.max_prompt_length",
) -> Dataset:
    """The rows whose prompt has at most `limit` tokens; how many are left out is logged.

    Args:
        rows: with a column `prompt`.
        tokenizer: the tokenizer of the model.
        limit: in tokens; None keeps every row.
        template_arguments: further arguments of the chat template.
        set_by: the field that an error names.

    Raises:
        DataError: if none is left.
    """
    if limit is None:
        return rows

    def fits(prompt: Any) -> bool:
        return prompt_length(tokenizer, prompt, template_arguments) <= limit

    kept = rows.filter(fits, input_columns="prompt")
    if len(kept) == 0:
        raise DataError(f"all {len(rows)} prompts are longer than {limit} tokens; raise `{set_by}`")
    if len(kept) < len(rows):
        logger.warning(
            "left out %d of %d prompts that are longer than %d tokens",
            len(rows) - len(kept),
            len(rows),
            limit,
        )
    return kept


def complete(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Any],
    *,
    max_new_tokens: int = 256,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    template_arguments: Mapping[str, Any] = MappingProxyType({}),
) -> list[str]:
    """Complete each prompt on its own, so that no padding can change it.

    Args:
        model: a causal language model; its mode is restored.
        tokenizer: its tokenizer.
        prompts: strings, or lists of chat messages.
        max_new_tokens: longest completion, in tokens.
        temperature: 0 takes the likeliest token.
        top_p: nucleus sampling, in (0, 1].
        top_k: sample from the so many likeliest tokens; 0 means all.
        template_arguments: further arguments of the chat template.
    """
    import torch

    sampling: dict[str, Any] = {
        "do_sample": False,
        "temperature": None,
        "top_p": None,
        "top_k": None,
    }
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": top_k}
    texts = []
    was_training = model.training
    model.train(mode=False)
    for prompt in prompts:
        if isinstance(prompt, str):
            text = prompt
        else:
            text = str(
                tokenizer.apply_chat_template(
                    prompt, tokenize=False, add_generation_prompt=True, **template_arguments
                )
            )
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=isinstance(prompt, str))
        inputs = {k: v.to(model.device) for k, v in inputs.items() if k != "token_type_ids"}
        with torch.inference_mode():
            made = model.generate(  # type: ignore[operator]
                **inputs,
                max_new_tokens=max_new_tokens,
                pad_token_id=tokenizer.pad_token_id,
                **sampling,
            )
        completion = made[0, inputs["input_ids"].shape[1] :]
        texts.append(str(tokenizer.decode(completion, skip_special_tokens=True)))
    model.train(was_training)
    return texts
