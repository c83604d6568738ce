"""Samples follow softmax, and depend on the seed, the prompt and their number alone."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LogitsProcessorList

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, prepare
from aligntune_eval.asking.generation import completions, samples_of
from aligntune_eval.asking.sampling import Sampler, gumbel, stream

MakeContext = Callable[..., EvaluationContext]
PROMPTS = ["abc", "1+1=", "a", "the quick brown", "b b b b b", "xyz"]
DRAWS = 20_000


def drawn(logits: list[float], settings: EvaluationSettings, rows: int = DRAWS) -> list[int]:
    """How often each token is drawn from the same logits, by as many streams."""
    sampler = Sampler(settings, [stream(7, str(i)) for i in range(rows)], width=3)
    scores = torch.tensor([logits]).repeat(rows, 1)
    chosen = sampler(torch.zeros((rows, 5), dtype=torch.long), scores).argmax(dim=-1)
    return torch.bincount(chosen, minlength=len(logits)).tolist()


def chi_square(counts: list[int], shares: list[float]) -> float:
    """How far counts are from what is expected, in standard deviations of chi-square."""
    total = sum(counts)
    assert all(count == 0 for count, share in zip(counts, shares, strict=True) if share == 0)
    kept = [(c, s * total) for c, s in zip(counts, shares, strict=True) if s > 0]
    statistic = sum((count - expected) ** 2 / expected for count, expected in kept)
    freedom = len(kept) - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    "given",
    [{}, {"temperature": 0.5}, {"top_k": 5}, {"top_p": 0.8}, {"top_k": 12, "top_p": 0.9}],
    ids=str,
)
def test_samples_have_the_shares_of_transformers_own_warpers(given: dict[str, Any]) -> None:
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    draw = random.Random(1)
    logits = [draw.gauss(0, 1.5) for _ in range(24)]
    settings = EvaluationSettings(**{"temperature": 1.0, **given})
    warpers = LogitsProcessorList([TemperatureLogitsWarper(settings.temperature)])
    if settings.top_k:
        warpers.append(TopKLogitsWarper(settings.top_k))
    warpers.append(TopPLogitsWarper(settings.top_p))
    warped = warpers(torch.zeros((1, 1), dtype=torch.long), torch.tensor([logits]))  # type: ignore[arg-type]
    shares = torch.softmax(warped[0].double(), -1).tolist()
    assert abs(chi_square(drawn(logits, settings), shares)) < 4
    if not given:
        flat = [1 / len(logits)] * len(logits)
        assert chi_square(drawn(logits, settings), flat) > 100


def test_one_stream_draws_each_step_anew() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0])
    noise = torch.cat([gumbel([5], step, 3, torch.device("cpu")) for step in range(DRAWS)])
    counts = torch.bincount((logits + noise).argmax(-1), minlength=3).tolist()
    assert abs(chi_square(counts, torch.softmax(logits.double(), -1).tolist())) < 4
    firsts = noise[:, 0]
    following = torch.corrcoef(torch.stack([firsts[:-1], firsts[1:]]))[0, 1]
    assert abs(float(following)) < 4 / math.sqrt(DRAWS)


def test_noise_is_gumbels_in_its_tails_too() -> None:
    noise = gumbel([1, 2, 3, 4], 0, 500_000, torch.device("cpu")).double().flatten()
    assert torch.isfinite(noise).all()
    for quantile in (1e-4, 0.01, 0.5, 0.99, 0.9999):
        expected = -math.log(-math.log(quantile))
        share = float((noise < expected).double().mean())
        assert abs(share - quantile) < 5 * math.sqrt(quantile * (1 - quantile) / len(noise))


def test_a_row_has_the_same_noise_in_every_batch() -> None:
    device = torch.device("cpu")
    together = gumbel([3, 2**64 - 1, 9], 4, 1000, device)
    assert torch.equal(together[1:2], gumbel([2**64 - 1], 4, 1000, device))
    assert torch.equal(together[:, :10], gumbel([3, 2**64 - 1, 9], 4, 10, device))
    assert not torch.equal(together, gumbel([3, 2**64 - 1, 9], 5, 1000, device))


def texts(context: EvaluationContext) -> dict[str, list[str]]:
    return {each[0].prompt: [one.text for one in each] for each in samples_of(context)}


def test_batch_size_and_order_change_no_sample(make_context: MakeContext) -> None:
    how: dict[str, Any] = {"temperature": 1.2, "num_samples": 3, "max_new_tokens": 12}
    alone = texts(make_context([{"prompt": p} for p in PROMPTS], batch_size=1, **how))
    assert len({text for found in alone.values() for text in found}) > 12
    for seed, batch_size in ((1, 2), (2, 5), (3, 18)):
        rows = [{"prompt": p} for p in random.Random(seed).sample(PROMPTS, len(PROMPTS))]
        assert texts(make_context(rows, batch_size=batch_size, **how)) == alone
    fewer = texts(make_context([{"prompt": p} for p in PROMPTS[:2]], **{**how, "num_samples": 2}))
    assert fewer == {prompt: alone[prompt][:2] for prompt in PROMPTS[:2]}


def test_rows_of_one_prompt_have_samples_of_their_own(make_context: MakeContext) -> None:
    rows = [{"prompt": "abc", "answer": answer} for answer in ("x", "y", "x")]
    how: dict[str, Any] = {"temperature": 1.2, "max_new_tokens": 12}
    made = [each.text for each in completions(make_context(rows, **how))]
    assert len(set(made)) == 3
    turned = [each.text for each in completions(make_context(rows[::-1], **how))]
    assert turned[1] == made[1]
    assert sorted(turned) == sorted(made)


def test_longer_completions_begin_as_shorter_ones_do(make_context: MakeContext) -> None:
    rows = [{"prompt": prompt} for prompt in PROMPTS]
    short = completions(make_context(rows, temperature=1.0, max_new_tokens=4))
    long = completions(make_context(rows, temperature=1.0, max_new_tokens=12))
    assert [one.ids for one in short] == [one.ids[:4] for one in long]


def test_samples_of_a_row_stand_in_its_sample(make_context: MakeContext) -> None:
    context = make_context([{"prompt": "abc"}], temperature=1.0, num_samples=3, max_new_tokens=4)
    (found,) = samples_of(context)
    assert context.samples[0]["completions"] == [one.text for one in found]
    assert context.samples[0]["completion"] == found[0].text
    with pytest.raises(EvaluationError, match="one completion of each row, and num_samples is 3"):
        completions(context)


def test_what_measures_one_completion_refuses_several_at_once(plugins: Any) -> None:
    settings = EvaluationSettings(num_samples=2, temperature=1.0)
    with pytest.raises(EvaluationError, match=r"'bleu'.* takes one completion .* set num_samples"):
        prepare([{"prompt": "a", "answer": "b"}], ["bleu"], settings, plugins)
