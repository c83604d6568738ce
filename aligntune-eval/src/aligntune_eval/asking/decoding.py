"""Continues a batch of prompts with transformers' `generate`, until each row has ended.

Rows that ended leave the batch once half of them have, with their part of the cache, so that a few
long completions do not keep all the others computing. What is left goes on where it was.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aligntune_eval.asking.sampling import Sampler
from aligntune_eval.asking.stopping import Finished

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from aligntune.evaluation import EvaluationSettings
    from aligntune_eval.asking.stopping import Ends

__all__ = ["decode"]

_DEFAULTS = "generation_config"
_WORTH = 8  # steps that must be left for a smaller batch to be worth its making


def decode(
    prompts: Sequence[Sequence[int]],
    streams: Sequence[int],
    model: Any,
    *,
    ends: Ends,
    settings: EvaluationSettings,
    pad: int,
) -> list[list[int]]:
    """New token ids of each prompt, up to the one that ends it.

    Args:
        prompts: token ids; shorter ones are padded on the left.
        streams: the random numbers of each row (see `aligntune_eval.asking.sampling.stream`).
        model: a transformers causal language model.
        ends: what ends a completion.
        settings: how long completions may be, and how tokens are chosen.
        pad: the token that fills up shorter prompts.
    """
    import torch

    width = max(map(len, prompts))
    padded = [[pad] * (width - len(ids)) + list(ids) for ids in prompts]
    mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]
    ids = torch.tensor(padded, device=model.device)
    attention = torch.tensor(mask, device=model.device)
    made: dict[int, list[int]] = {}
    rows, cache = list(range(len(prompts))), None
    while rows:
        left = width + settings.max_new_tokens - ids.shape[1]
        finished = Finished(ends, len(rows), width, len(rows) // 2 if left > _WORTH else 0)
        sampler = _sampler(settings, [streams[row] for row in rows], width)
        with torch.no_grad(), _without_defaults(model):
            output = model.generate(
                input_ids=ids,
                attention_mask=attention,
                generation_config=_config(left, ends, pad),
                logits_processor=sampler,
                stopping_criteria=[finished],
                past_key_values=cache,
            )
        ids = output.sequences
        new = ids[:, width:].tolist()
        out_of_room = len(new[0]) == settings.max_new_tokens
        going_on = []
        for place, (row, length) in enumerate(zip(rows, finished.lengths, strict=True)):
            if length is None and not out_of_room:
                going_on.append(place)
            else:
                made[row] = new[place][:length]
        rows = [rows[place] for place in going_on]
        kept = torch.tensor(going_on, device=ids.device, dtype=torch.long)
        grown = torch.ones_like(ids[:, attention.shape[1] :])
        attention = torch.cat([attention, grown], dim=1)[kept]
        ids, cache = ids[kept], _selected(output.past_key_values, kept) if rows else None
    return [made[row] for row in range(len(prompts))]


def _selected(cache: Any, kept: torch.Tensor) -> Any:
    """The cache of the rows that go on; None, so that they are read again, where it has no rows."""
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    if type(cache) is not DynamicCache or any(type(each) not in plain for each in cache.layers):
        return None
    cache.batch_select_indices(kept)
    return cache


def _sampler(settings: EvaluationSettings, streams: list[int], width: int) -> list[Sampler]:
    return [Sampler(settings, streams, width)] if settings.temperature > 0 else []


@contextmanager
def _without_defaults(model: Any) -> Iterator[None]:
    """Take away the model's generation_config, of which `generate` uses what it is not told.

    Some of that has no value that switches it off (`bad_words_ids`, `forced_eos_token_id`, ...).
    """
    from transformers import GenerationConfig

    # The model under an adapter holds it, and the adapter may hold one too.
    own = [(m, vars(m)[_DEFAULTS]) for m in model.modules() if _DEFAULTS in vars(m)]
    kind = model.generation_config.cache_implementation  # how it computes, not what
    try:
        for module, _ in own:
            module.generation_config = GenerationConfig(cache_implementation=kind)  # type: ignore[no-untyped-call]
        yield
    finally:
        for module, config in own:
            module.generation_config = config


def _config(max_new_tokens: int, ends: Ends, pad: int) -> Any:
    """Greedy decoding, of logits that a sampler may have changed, and nothing else."""
    from transformers import GenerationConfig

    return GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=max_new_tokens,
        eos_token_id=ends.ids or None,
        pad_token_id=pad,
        do_sample=False,
        temperature=1.0,
        top_p=1.0,
        use_cache=True,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        min_length=0,
        return_dict_in_generate=True,
        output_scores=False,
        output_logits=False,
        output_attentions=False,
        output_hidden_states=False,
    )
