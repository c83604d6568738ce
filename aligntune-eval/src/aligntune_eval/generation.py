"""Completions of every prompt, generated once per evaluation and shared by its evaluators.

Prompts are padded on the left and batched by length; results come back in row order. What a
model's `generation_config` says about sampling and penalties is not used: the settings alone
decide, so that two models are asked the same. Greedy completions depend neither on the batch nor on
the order of the rows; sampled ones repeat for the same seed, rows and batch size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune_eval.batching import batches
from aligntune_eval.tokens import Prompt, prompt_of

if TYPE_CHECKING:
    import torch

    from aligntune.evaluation import EvaluationContext, EvaluationSettings

__all__ = ["Completion", "completions", "generation_details"]

_MEMO = "aligntune_eval.generation"


@dataclass(frozen=True)
class Completion:
    """What the model answered to one row.

    `prompt`: as the model read it. `text`: without special tokens. `ids`: with the end-of-sequence
    token, if the model wrote one. `finished`: whether it did, within `max_new_tokens`.
    """

    prompt: str
    text: str
    ids: list[int]
    finished: bool


def completions(context: EvaluationContext) -> list[Completion]:
    """One completion per row, in row order; later calls with the same context return the same list.

    Raises:
        EvaluationError: if a prompt and the longest completion exceed the model's positions.
    """
    if _MEMO not in context.memo:
        made = _generate_all(context)
        context.note("prompt", [completion.prompt for completion in made])
        context.note("completion", [completion.text for completion in made])
        context.memo[_MEMO] = made
    shared: list[Completion] = context.memo[_MEMO]
    return shared


def generation_details(context: EvaluationContext) -> dict[str, Any]:
    """How the completions were made, for the details of a metric that rests on them."""
    settings = context.settings
    sampling = {"top_p": settings.top_p, "seed": settings.seed} if settings.temperature else {}
    return {
        "max_new_tokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        **sampling,
        "truncated": sum(not completion.finished for completion in completions(context)),
    }


def _generate_all(context: EvaluationContext) -> list[Completion]:
    import torch

    model, tokenizer, settings = context.model, context.tokenizer, context.settings
    prompts = [prompt_of(row, tokenizer, settings) for row in context.rows]
    _check_lengths(prompts, model, settings)
    stops = _stop_ids(model, tokenizer)
    config = _generation_config(settings, stops, tokenizer)
    if settings.temperature > 0:
        torch.manual_seed(settings.seed)
    made: dict[int, Completion] = {}
    for batch in batches([len(prompt.ids) for prompt in prompts], settings.batch_size):
        answers = _generate([prompts[i].ids for i in batch], model, config)
        for index, ids in zip(batch, answers, strict=True):
            made[index] = _completion(prompts[index].text, ids, stops, tokenizer)
        context.progress("generating", len(made), len(prompts))
    return [made[index] for index in range(len(prompts))]


def _generate(prompts: list[list[int]], model: Any, config: Any) -> list[list[int]]:
    """New token ids of each prompt, padding included."""
    import torch

    width = max(map(len, prompts))
    padded = [[config.pad_token_id] * (width - len(ids)) + ids for ids in prompts]
    mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]
    with torch.no_grad():
        output: torch.Tensor = model.generate(
            input_ids=torch.tensor(padded, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            generation_config=config,
        )
    new: list[list[int]] = output[:, width:].tolist()
    return new


def _completion(prompt: str, ids: list[int], stops: list[int], tokenizer: Any) -> Completion:
    end = next((place for place, token in enumerate(ids) if token in stops), None)
    kept = ids if end is None else ids[: end + 1]
    text = tokenizer.decode(kept if end is None else kept[:-1], skip_special_tokens=True)
    return Completion(prompt, text, kept, end is not None)


def _stop_ids(model: Any, tokenizer: Any) -> list[int]:
    """Every token that ends a completion: the model's own list, and the tokenizer's."""
    own = model.generation_config.eos_token_id
    listed = own if isinstance(own, list) else [own]
    stops = {int(token) for token in (*listed, tokenizer.eos_token_id) if token is not None}
    return sorted(stops)


def _generation_config(settings: EvaluationSettings, stops: list[int], tokenizer: Any) -> Any:
    from transformers import GenerationConfig

    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else next(iter(stops), 0)
    sampling: dict[str, Any] = {"do_sample": False, "temperature": 1.0, "top_p": 1.0}
    if settings.temperature > 0:
        sampling = {
            "do_sample": True,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "typical_p": 1.0,
            "epsilon_cutoff": 0.0,
            "eta_cutoff": 0.0,
        }
    # Whatever stays unset here, transformers fills from the model's own generation_config.
    return GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=settings.max_new_tokens,
        eos_token_id=stops or None,
        pad_token_id=pad,
        use_cache=True,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        min_length=0,
        **sampling,
    )


def _check_lengths(prompts: list[Prompt], model: Any, settings: EvaluationSettings) -> None:
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is None:
        return
    for index, prompt in enumerate(prompts):
        if len(prompt.ids) + settings.max_new_tokens > limit:
            raise EvaluationError(
                f"the prompt of row {index} has {len(prompt.ids)} tokens; with max_new_tokens = "
                f"{settings.max_new_tokens} more it exceeds the {limit} positions of the model; "
                "lower max_new_tokens or leave out the row"
            )
