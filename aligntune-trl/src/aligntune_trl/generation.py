"""Completes a handful of prompts; batch evaluation with statistics is aligntune-eval's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["complete", "prompt_ids", "prompt_length"]


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, prompt: Any, template_arguments: Mapping[str, Any]
) -> list[int]:
    """The tokens of a prompt (a string, or chat messages) as the model is given it."""
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    encoded: Any = tokenizer.apply_chat_template(
        prompt, add_generation_prompt=True, return_dict=True, **template_arguments
    )
    return list(encoded["input_ids"])


def prompt_length(
    tokenizer: PreTrainedTokenizerBase, prompt: Any, template_arguments: Mapping[str, Any]
) -> int:
    """How many tokens that are."""
    return len(prompt_ids(tokenizer, prompt, template_arguments))


def complete(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Any],
    *,
    max_new_tokens: int = 256,
    temperature: float = 0.0,
    top_p: float = 1.0,
) -> list[str]:
    """Complete each prompt on its own, so that no padding can change it.

    Args:
        model: a causal language model; its mode is restored.
        tokenizer: its tokenizer.
        prompts: strings, or lists of chat messages.
        max_new_tokens: longest completion, in tokens.
        temperature: 0 takes the likeliest token.
        top_p: nucleus sampling, in (0, 1].
    """
    import torch

    sampling: dict[str, Any] = {
        "do_sample": False,
        "temperature": None,
        "top_p": None,
        "top_k": None,
    }
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    texts = []
    was_training = model.training
    model.train(mode=False)
    for prompt in prompts:
        if isinstance(prompt, str):
            text = prompt
        else:
            text = str(
                tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
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
