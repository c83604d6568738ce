"""Completions of every prompt, generated once per evaluation and shared by its evaluators.

Prompts are padded on the left and batched by length; results come back in row order. What a
model's `generation_config` says about sampling and penalties is not used: the settings alone
decide, so that two models are asked the same. Neither greedy nor sampled completions depend on the
batch, its padding or the order of the rows: a sample has its own stream of random numbers, named by
the seed, what the row asks and the number of the sample.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune_eval.asking.batching import batches
from aligntune_eval.asking.decoding import decode
from aligntune_eval.asking.likelihood import positions_of
from aligntune_eval.asking.sampling import stream
from aligntune_eval.asking.stopping import Ends
from aligntune_eval.asking.tokens import Prompt, prompts_of
from aligntune_eval.asking.work import digest, work_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation import EvaluationContext, EvaluationSettings
    from aligntune.evaluation.columns import Rows

__all__ = [
    "Completion",
    "check_prompts",
    "completions",
    "generation_details",
    "refuse_several_samples",
    "samples_of",
]

_MEMO = "aligntune_eval.asking.generation"
_PROMPTS = "aligntune_eval.prompts"


@dataclass(frozen=True)
class Completion:
    """What the model answered to one row.

    `prompt`: as the model read it. `text`: without special tokens and without the `stop` text that
    ended it. `ids`: with the token that ended it. `finished`: whether it ended by itself or at a
    `stop` text, within `max_new_tokens`.
    """

    prompt: str
    text: str
    ids: list[int]
    finished: bool


@dataclass(frozen=True)
class _Ask:
    """One sample of a prompt: `key` names it in the store, `stream` its random numbers."""

    prompt: Prompt
    key: str
    stream: int


def check_prompts(context: EvaluationContext, reference: Any = None) -> None:
    """Refuse prompts that this model cannot complete, for `check` of evaluators that complete them.

    `reference`: a model that is to read the prompts with their completions.

    Raises:
        EvaluationError: as `samples_of`.
    """
    if _PROMPTS not in context.memo:
        prompts = prompts_of(context.rows, context.tokenizer, context.settings)
        _check_lengths(prompts, context.model, context.settings)
        ends = Ends(context.model, context.tokenizer, context.settings.stop)
        context.memo[_PROMPTS] = prompts, ends
    if reference is not None:
        asked = context.memo[_PROMPTS][0]
        _check_lengths(asked, reference, context.settings, "the reference model")


def samples_of(context: EvaluationContext) -> list[list[Completion]]:
    """`num_samples` completions of each row, in row order; made once for each context.

    Raises:
        EvaluationError: if a prompt and the longest completion exceed the model's positions, a
            prompt is neither text nor messages, or there is no chat template for messages.
    """
    if _MEMO not in context.memo:
        made = _generate_all(context)
        context.note("prompt", [each[0].prompt for each in made])
        context.note("completion", [each[0].text for each in made])
        if context.settings.num_samples > 1:
            context.note("completions", [[one.text for one in each] for each in made])
        context.memo[_MEMO] = made
    shared: list[list[Completion]] = context.memo[_MEMO]
    return shared


def completions(context: EvaluationContext) -> list[Completion]:
    """The completion of each row, in row order, for evaluators that measure one.

    Raises:
        EvaluationError: if the settings ask for several samples; else as `samples_of`.
    """
    refuse_several_samples("what measures one completion of each row", context.settings)
    return [each[0] for each in samples_of(context)]


def refuse_several_samples(who: str, settings: EvaluationSettings) -> None:
    """For `prepare` of evaluators that measure one completion of each row.

    Raises:
        EvaluationError: if the settings ask for several.
    """
    if settings.num_samples > 1:
        raise EvaluationError(
            f"{who} takes one completion of each row, and num_samples is {settings.num_samples}; "
            "set num_samples to 1, or measure it as a task of its own"
        )


def generation_details(context: EvaluationContext) -> dict[str, Any]:
    """How the completions were made, for the details of a metric that rests on them."""
    settings = context.settings
    made: dict[str, Any] = {
        "max_new_tokens": settings.max_new_tokens,
        "temperature": settings.temperature,
    }
    if settings.temperature:
        made |= {"top_p": settings.top_p, "top_k": settings.top_k, "seed": settings.seed}
        made["num_samples"] = settings.num_samples
    if settings.stop:
        made["stop"] = list(settings.stop)
    cut = sum(not each.finished for samples in samples_of(context) for each in samples)
    return {**made, "truncated": cut}


def _generate_all(context: EvaluationContext) -> list[list[Completion]]:
    check_prompts(context)
    prompts, ends = context.memo[_PROMPTS]
    asked = _asks(prompts, context.rows, context.settings)
    once = list({ask.key: ask for asks in asked for ask in asks}.values())
    ids = _answers(once, ends, context)
    return [[_completion(ask.prompt.text, ids[ask.key], ends) for ask in asks] for asks in asked]


def _asks(prompts: list[Prompt], rows: Rows, settings: EvaluationSettings) -> list[list[_Ask]]:
    """What is asked for each row. Greedy, equal prompts are one; sampled, each has its own samples.

    Rows of one prompt are told apart by what else they hold, not by where they stand.
    """
    how: tuple[object, ...] = (settings.max_new_tokens, tuple(settings.stop))
    twins = [0] * len(rows)
    if settings.temperature > 0:
        how += (settings.temperature, settings.top_p, settings.top_k, settings.seed)
        twins = _ranks(prompts, rows)
    return [
        [_ask(prompt, how, twin, sample, settings.seed) for sample in range(settings.num_samples)]
        for prompt, twin in zip(prompts, twins, strict=True)
    ]


def _ask(prompt: Prompt, how: tuple[object, ...], twin: int, sample: int, seed: int) -> _Ask:
    # Longer completions, or those of another temperature, have the same random numbers.
    name = digest("sample", prompt.ids, twin, sample)
    return _Ask(prompt, digest("completion", prompt.ids, *how, twin, sample), stream(seed, name))


def _ranks(prompts: Sequence[Prompt], rows: Rows) -> list[int]:
    """For each row, how many rows of the same prompt come before it, ordered by their content."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, prompt in enumerate(prompts):
        groups.setdefault(tuple(prompt.ids), []).append(place)
    ranks = [0] * len(rows)
    for places in groups.values():
        if len(places) > 1:
            content = {i: json.dumps(dict(rows[i]), sort_keys=True, default=str) for i in places}
            for rank, place in enumerate(sorted(places, key=content.__getitem__)):
                ranks[place] = rank
    return ranks


def _answers(asks: list[_Ask], ends: Ends, context: EvaluationContext) -> dict[str, list[int]]:
    """Token ids by key, from the store or the model.

    Batches are made of all that is asked, so that an evaluation that goes on after it was cut off
    has the batches it would have had.
    """
    settings, store, work = context.settings, context.store, work_of(context, "generation")
    pad = _pad(context.tokenizer, ends)
    found: dict[str, list[int]] = {}
    for batch in batches([len(ask.prompt.ids) for ask in asks], settings.batch_size):
        there = {asks[i].key: store.get(asks[i].key) if store else None for i in batch}
        missing = [asks[i] for i in batch if there[asks[i].key] is None]
        if missing:
            begin = time.perf_counter()
            prompts, streams = [ask.prompt.ids for ask in missing], [ask.stream for ask in missing]
            made = decode(prompts, streams, context.model, ends=ends, settings=settings, pad=pad)
            each = (time.perf_counter() - begin) / len(missing)
            fresh = {
                ask.key: {"ids": ids, "seconds": each}
                for ask, ids in zip(missing, made, strict=True)
            }
            if store is not None:
                store.put(fresh)
            there |= fresh
        new = {ask.key for ask in missing}
        for ask in (asks[i] for i in batch):
            entry: Any = there[ask.key]
            found[ask.key] = entry["ids"]
            read, written = len(ask.prompt.ids), len(entry["ids"])
            work.add(entry["seconds"], read, written, stored=ask.key not in new)
        context.progress("generating", len(found), len(asks))
    return found


def _completion(prompt: str, ids: list[int], ends: Ends) -> Completion:
    ended = ids[-1] in ends.ids
    text = ends.text(ids[:-1] if ended else ids)
    before = ends.cut(text)
    return Completion(prompt, text if before is None else before, ids, ended or before is not None)


def _pad(tokenizer: Any, ends: Ends) -> int:
    """What fills up shorter prompts; it is masked, so that any token will do."""
    pad: int | None = tokenizer.pad_token_id
    return pad if pad is not None else next(iter(ends.ids), 0)


def _check_lengths(
    prompts: list[Prompt], model: Any, settings: EvaluationSettings, who: str = "the model"
) -> None:
    limit = positions_of(model)
    if limit is None:
        return
    for index, prompt in enumerate(prompts):
        if len(prompt.ids) + settings.max_new_tokens > limit:
            raise EvaluationError(
                f"the prompt of row {index} has {len(prompt.ids)} tokens; with max_new_tokens = "
                f"{settings.max_new_tokens} more it exceeds the {limit} positions of {who}; "
                "lower max_new_tokens or leave out the row"
            )
