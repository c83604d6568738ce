"""Log-likelihoods against one forward pass per token, however requests are batched."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import BloomConfig, LlamaConfig, LlavaConfig

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext
from aligntune_eval.asking import likelihood
from aligntune_eval.asking.likelihood import (
    Likelihood,
    loglikelihoods,
    positions_of,
    scored_logits,
)
from aligntune_eval.asking.tokens import Target

MakeContext = Callable[..., EvaluationContext]


def requests_of(count: int, seed: int = 0) -> list[Target]:
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        ids = [draw.randrange(256) for _ in range(draw.randint(2, 40))]
        made.append(Target(ids, draw.randint(1, len(ids) - 1), 0))
    return made


def oracle(model: Any, request: Target) -> Likelihood:
    total, greedy = 0.0, True
    for place in range(request.first, len(request.ids)):
        with torch.no_grad():
            logits = model(torch.tensor([request.ids[:place]])).logits[0, -1].double()
        total += float(torch.log_softmax(logits, -1)[request.ids[place]])
        greedy = greedy and int(logits.argmax()) == request.ids[place]
    return Likelihood(total, len(request.ids) - request.first, greedy)


def likeliest(model: Any, ids: list[int], steps: int) -> list[int]:
    for _ in range(steps):
        with torch.no_grad():
            ids = [*ids, int(model(torch.tensor([ids])).logits[0, -1].argmax())]
    return ids


@pytest.mark.parametrize("keeps", [True, False], ids=["scored logits", "all logits"])
@pytest.mark.parametrize("most", [2**28, 258 * 50], ids=["roomy", "tight"])
def test_each_request_has_its_likelihood(
    make_context: MakeContext, model: Any, monkeypatch: pytest.MonkeyPatch, keeps: bool, most: int
) -> None:
    said = likeliest(model, [1, 2, 3], 5)
    requests = [*requests_of(12), Target(said, 3, 0), Target([*said[:-1], 0], 3, 0)]
    expected = [oracle(model, request) for request in requests]
    assert expected[-2].greedy
    assert not expected[-1].greedy
    monkeypatch.setattr(likelihood, "_LOGITS_AT_ONCE", most)
    monkeypatch.setattr(likelihood, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(likelihood, "_keeps_logits", lambda _: keeps)
    for batch_size in (1, 5):
        found = loglikelihoods(make_context([{}], batch_size=batch_size), requests)
        assert [one.logprob for one in found] == pytest.approx(
            [one.logprob for one in expected], rel=1e-5
        )
        assert [(one.tokens, one.greedy) for one in found] == [
            (one.tokens, one.greedy) for one in expected
        ]


def test_logits_stay_within_their_bound(
    make_context: MakeContext, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "_LOGITS_AT_ONCE", 258 * 60)
    sizes: list[int] = []
    hook = model.register_forward_hook(lambda _, __, made: sizes.append(made.logits.numel()))
    try:
        loglikelihoods(make_context([{}], batch_size=16), requests_of(30))
    finally:
        hook.remove()
    assert max(sizes) <= 258 * 60
    assert len(sizes) < 30


def test_equal_requests_and_those_of_another_last_token_share_a_pass(
    make_context: MakeContext, model: Any
) -> None:
    first, second = Target([1, 2, 3], 2, 0), Target([1, 2, 4], 2, 0)
    rows: list[int] = []
    hook = model.register_forward_hook(lambda _, __, made: rows.append(made.logits.shape[0]))
    try:
        found = loglikelihoods(make_context([{}]), [first, second, first, Target([1, 2, 3], 1, 0)])
    finally:
        hook.remove()
    assert rows == [2]
    assert found[0] == found[2] != found[1]


def test_a_probability_near_one_keeps_its_digits() -> None:
    logits = torch.tensor([[40.0, 40.0 - 14.0, 0.0]], dtype=torch.float32)
    losses, right = likelihood._losses(logits, torch.tensor([[0], [1]]))
    exact = -torch.log_softmax(logits.double(), -1)[0, :2]
    assert losses.flatten().tolist() == pytest.approx(exact.tolist(), rel=1e-6)
    assert right.flatten().tolist() == [True, False]


def test_another_model_has_its_own_place_in_the_store(
    make_context: MakeContext, model: Any
) -> None:
    other = copy.deepcopy(model)
    other.lm_head.weight.data *= 0.5
    context = make_context([{}])
    values: dict[str, Any] = {}

    class Memory:
        def get(self, key: str) -> Any | None:
            return values.get(key)

        def put(self, entries: Any) -> None:
            values.update(entries)

    context.store = Memory()
    requests = requests_of(3)
    own = loglikelihoods(context, requests)
    theirs = loglikelihoods(context, requests, model=other, label="reference")
    assert len(values) == 6
    assert [one.logprob for one in own] != [one.logprob for one in theirs]
    assert loglikelihoods(context, requests, model=other, label="reference") == theirs


def test_no_likelihood_is_no_number(make_context: MakeContext, model: Any) -> None:
    context = make_context([{}])
    context.model = copy.deepcopy(model)
    context.model.lm_head.weight.data[:] = float("nan")
    with pytest.raises(EvaluationError, match="gives sequence 0 a log-likelihood of nan"):
        loglikelihoods(context, requests_of(1))
    with pytest.raises(EvaluationError, match="sequence 1 has no token to score"):
        loglikelihoods(context, [Target([1, 2], 1, 0), Target([1], 1, 0)])


def test_scored_logits_are_those_of_each_alone(model: Any) -> None:
    requests = requests_of(4)
    together = list(scored_logits(requests, model))
    for request, logits in zip(requests, together, strict=True):
        (alone,) = scored_logits([request], model)
        assert logits.shape == (request.tokens, 258)
        torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-4)


def test_a_model_of_images_has_the_positions_of_its_text() -> None:
    text = LlamaConfig(max_position_embeddings=77)
    for config in (text, LlavaConfig(text_config=text)):
        assert positions_of(SimpleNamespace(config=config)) == 77
    assert positions_of(SimpleNamespace(config=BloomConfig())) is None
