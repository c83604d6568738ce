"""Log-likelihoods of tokens given what stands before them: the one place that computes them.

`loglikelihoods(context, requests)` answers any number of requests, batched by length; everything
that rests on the probability of a text (perplexity, loss, multiple choice, preferences) is made of
these. Padding stands on the right, where no token that counts can attend to it; probabilities are
computed in float32 and summed in float64, whatever the precision of the model.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune_eval.asking.tokens import Target
from aligntune_eval.asking.work import digest, work_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from aligntune.evaluation import EvaluationContext

__all__ = ["Likelihood", "check_requests", "loglikelihoods", "positions_of", "scored_logits"]

_TOKENS_AT_ONCE = 16_384  # inputs of one forward pass, padding included
_LOGITS_AT_ONCE = 2**28  # numbers that one forward pass returns: 1 GiB in float32
_ROWS_AT_ONCE = 512  # positions whose probabilities are computed at once


@dataclass(frozen=True)
class Likelihood:
    """How likely a model finds the scored tokens of a sequence.

    `logprob`: Σ log p(token | tokens before it), in nats, at most 0. `tokens`: how many were
    scored. `greedy`: whether each of them was the likeliest, so that greedy decoding says them.
    """

    logprob: float
    tokens: int
    greedy: bool


def loglikelihoods(
    context: EvaluationContext,
    requests: Sequence[Target],
    *,
    model: Any = None,
    label: str = "",
    describe: Callable[[int], str] = "sequence {}".format,
) -> list[Likelihood]:
    """The log-likelihood of `ids[first:]` given `ids[:first]`, for each request, in their order.

    Requests that differ in their last token only are answered by one forward pass. What the
    context's store holds is not computed again.

    Args:
        context: whose settings, store and progress are used.
        requests: sequences with what is scored of them; see `aligntune_eval.asking.tokens`.
        model: another model than that of the context, such as a reference model.
        label: names that model in the store; needed with `model`.
        describe: what request i is called in an error.

    Raises:
        EvaluationError: if a request does not fit into the model's positions, or the model gives it
            no finite log-likelihood.
    """
    assert model is None or label, "another model needs a label"
    asked = context.model if model is None else model
    check_requests(requests, asked, describe)
    keys = [digest(f"loglikelihood{label}", each.ids, each.first) for each in requests]
    found: dict[str, Likelihood] = {}
    work, store = work_of(context, "scoring"), context.store
    places = {key: place for place, key in enumerate(keys)}  # equal requests are one
    units = _units(requests, sorted(places.values()))
    for batch in _batches(units, requests, context.settings.batch_size, asked):
        wanted = [keys[place] for unit in batch for place in unit]
        stored: dict[str, Any] = {k: store.get(k) for k in wanted} if store is not None else {}
        if any(stored.get(key) is None for key in wanted):
            begin = time.perf_counter()
            answers = _answers([[requests[place] for place in unit] for unit in batch], asked)
            each = (time.perf_counter() - begin) / len(wanted)
            made: dict[str, Any] = {
                key: [answer.logprob, answer.greedy, each]
                for key, answer in zip(wanted, answers, strict=True)
            }
            for key, (logprob, _, _) in made.items():
                if not math.isfinite(logprob):
                    raise EvaluationError(
                        f"the model gives {describe(places[key])} a log-likelihood of {logprob}"
                    )
            if store is not None:
                store.put(made)
            fresh = set(wanted)
        else:
            made, fresh = {key: stored[key] for key in wanted}, set()
        for key, (logprob, greedy, seconds) in made.items():
            request = requests[places[key]]
            found[key] = Likelihood(logprob, request.tokens, greedy)
            work.add(seconds, len(request.ids) - 1, stored=key not in fresh)
        context.progress("scoring", len(found), len(places))
    return [found[key] for key in keys]


def scored_logits(targets: Sequence[Target], model: Any) -> Iterator[torch.Tensor]:
    """The logits that predict each target's scored tokens, by one forward pass over all of them.

    Yields:
        One tensor for each target, shape (tokens, vocabulary), in the precision of the model.
    """
    import torch

    width = max(len(target.ids) for target in targets) - 1
    start = min(target.first for target in targets) - 1
    inputs = torch.zeros((len(targets), width), dtype=torch.long)
    mask = torch.zeros_like(inputs)
    for place, target in enumerate(targets):
        inputs[place, : len(target.ids) - 1] = torch.tensor(target.ids[:-1])
        mask[place, : len(target.ids) - 1] = 1
    kept: dict[str, Any] = {}
    if _keeps_logits(model):
        kept["logits_to_keep"] = torch.arange(start, width, device=model.device)
    else:
        start = 0
    with torch.no_grad():
        logits: torch.Tensor = model(
            input_ids=inputs.to(model.device),
            attention_mask=mask.to(model.device),
            use_cache=False,
            **kept,
        ).logits
    for place, target in enumerate(targets):
        yield logits[place, target.first - 1 - start : len(target.ids) - 1 - start]


def positions_of(model: Any) -> int | None:
    """How many tokens the model reads at once; None where it does not say."""
    # A model of images and text says it of its text alone.
    config = model.config.get_text_config()
    limit: int | None = getattr(config, "max_position_embeddings", None)
    return limit


def check_requests(
    requests: Sequence[Target], model: Any, describe: Callable[[int], str] = "sequence {}".format
) -> None:
    """Refuse requests that have nothing to score, or do not fit into the model's positions.

    Raises:
        EvaluationError: names the first of them, as `describe` calls it.
    """
    limit = positions_of(model)
    for index, request in enumerate(requests):
        if request.tokens < 1:
            raise EvaluationError(f"{describe(index)} has no token to score")
        if limit is not None and len(request.ids) - 1 > limit:
            raise EvaluationError(
                f"{describe(index)} has {len(request.ids)} tokens, which exceeds the {limit} "
                "positions of the model; shorten it or leave out the row"
            )


def _units(requests: Sequence[Target], places: list[int]) -> list[list[int]]:
    """Requests in groups that one row of a forward pass answers: they differ in the last token."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place in places:
        request = requests[place]
        groups.setdefault((request.first, *request.ids[:-1]), []).append(place)
    return list(groups.values())


def _batches(
    units: list[list[int]], requests: Sequence[Target], batch_size: int, model: Any
) -> list[list[list[int]]]:
    """Units in batches, the longest first, bounded by inputs and by the logits that come back."""
    vocabulary = model.get_output_embeddings().weight.shape[0]
    keeps = _keeps_logits(model)
    made: list[list[list[int]]] = []
    width = start = 0
    for unit in sorted(units, key=lambda unit: (-len(requests[unit[0]].ids), unit)):
        request = requests[unit[0]]
        size = len(made[-1]) + 1 if made else 0
        earliest = min(start, request.first - 1) if keeps else 0
        logits = size * (width - earliest) * vocabulary
        if 0 < size <= batch_size and size * width <= _TOKENS_AT_ONCE and logits <= _LOGITS_AT_ONCE:
            made[-1].append(unit)
            start = earliest
        else:
            made.append([unit])
            width, start = len(request.ids) - 1, request.first - 1
    return made


def _answers(groups: list[list[Target]], model: Any) -> list[Likelihood]:
    """The likelihood of each request of each group, in order, by one forward pass."""
    import torch

    losses: list[torch.Tensor] = []
    right: list[torch.Tensor] = []
    requests = [request for group in groups for request in group]
    for group, logits in zip(groups, scored_logits([g[0] for g in groups], model), strict=True):
        wanted = torch.tensor([r.ids[r.first :] for r in group], device=logits.device)
        parts = range(0, logits.shape[0], _ROWS_AT_ONCE)
        found = [
            _losses(logits[at : at + _ROWS_AT_ONCE], wanted[:, at : at + _ROWS_AT_ONCE])
            for at in parts
        ]
        losses.append(torch.cat([loss for loss, _ in found], dim=1).flatten())
        right.append(torch.cat([same for _, same in found], dim=1).flatten())
    sizes = [request.tokens for request in requests]
    sums = [part.double().sum() for part in torch.split(torch.cat(losses).cpu(), sizes)]
    said = [bool(part.all()) for part in torch.split(torch.cat(right).cpu(), sizes)]
    return [
        Likelihood(-float(total), size, greedy)
        for total, size, greedy in zip(sums, sizes, said, strict=True)
    ]


def _losses(logits: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """-log p of `wanted`, shape (requests, tokens), and whether each is the likeliest.

    Args:
        logits: shape (tokens, vocabulary).
        wanted: token ids, shape (requests, tokens).
    """
    values = logits.float()
    top, likeliest = values.max(dim=-1)
    # The likeliest is left out of the sum, so that its loss keeps its digits where p is near 1.
    values = values - top[:, None]
    total = values.exp().scatter_(1, likeliest[:, None], 0.0).sum(dim=-1).log1p()
    return total - values.gather(1, wanted.T).T, wanted == likeliest


def _keeps_logits(model: Any) -> bool:
    """Whether the model can be told which positions' logits are wanted."""
    # Asked as `generate` asks it, and through adapters, whose own signature says nothing.
    supported: bool = model._supports_logits_to_keep()  # noqa: SLF001
    return supported
