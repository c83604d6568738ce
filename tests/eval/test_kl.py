"""KL to a reference against a sum over the vocabulary in float64, one position after the other."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, evaluate
from aligntune_eval.asking.generation import samples_of
from aligntune_eval.asking.tokens import prompt_of
from aligntune_eval.metrics.kl import KlDivergence, divergence

MakeContext = Callable[..., EvaluationContext]

ROWS = [{"prompt": prompt} for prompt in ("1+1=", "the quick", "a", "zzz", "b b b b b")]
SAMPLED = {"temperature": 1.0, "seed": 3, "num_samples": 3}


def distribution(model: Any, ids: list[int]) -> list[float]:
    """p(v | ids) for each v, in float64."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1].tolist()
    top = max(logits)
    total = math.fsum(math.exp(x - top) for x in logits)
    return [math.exp(x - top) / total for x in logits]


def by_hand(model: Any, reference: Any, before: list[int], after: list[int]) -> float:
    total = 0.0
    for place in range(len(after)):
        p, q = (distribution(each, before + after[:place]) for each in (model, reference))
        total += math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total


@pytest.fixture(scope="module")
def other(model: Any) -> Any:
    """A model near to the first one."""
    torch.manual_seed(1)
    made = copy.deepcopy(model)
    for parameter in made.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    return made


def saved(model: Any, tokenizer: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def reference(other: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(other, tokenizer, tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize("more", [{}, SAMPLED], ids=["greedy", "sampled"])
def test_it_is_the_sum_over_the_vocabulary(
    make_context: MakeContext, other: Any, tokenizer: Any, reference: str, more: Any
) -> None:
    context = make_context(ROWS, max_new_tokens=4, batch_size=2, **more)
    model = context.model = copy.deepcopy(context.model).double()
    other = copy.deepcopy(other).double()
    whole, each = KlDivergence(reference).evaluate(context)
    sums, tokens = [], []
    for row, answers in zip(ROWS, samples_of(context), strict=True):
        before = prompt_of(row, tokenizer, context.settings).ids
        sums.append([by_hand(model, other, before, answer.ids) for answer in answers])
        tokens.append([len(answer.ids) for answer in answers])
    expected = [sum(values) / len(values) for values in sums]
    assert [s["scores"]["kl"] for s in context.samples] == pytest.approx(expected, abs=1e-9)
    assert whole.value == pytest.approx(sum(expected) / len(ROWS), abs=1e-9)
    count = sum(map(sum, tokens))
    assert each.value == pytest.approx(sum(map(sum, sums)) / count, abs=1e-9)
    assert (whole.name, whole.unit, whole.n) == ("kl", "nats", len(ROWS))
    assert (each.name, each.unit, each.n) == ("kl_per_token", "nats/token", len(ROWS))
    assert whole.value > 0.1
    assert whole.details["tokens"] == count
    assert whole.details["sampled_from_model"] is bool(more)
    for metric in (whole, each):
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low < metric.value < metric.high
        assert metric.higher_is_better is None


def test_the_rows_make_the_ratio(make_context: MakeContext, reference: str) -> None:
    context = make_context(ROWS, max_new_tokens=6, **SAMPLED)
    each = KlDivergence(reference).evaluate(context)[1]
    assert each.combine is not None
    top = [s["scores"][each.combine.top] for s in context.samples]
    bottom = [s[each.combine.bottom] for s in context.samples]
    assert each.value == pytest.approx(sum(top) / sum(bottom))


def test_a_model_is_at_no_distance_from_itself(
    make_context: MakeContext, model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    itself = saved(model, tokenizer, tmp_path)
    whole, each = KlDivergence(itself).evaluate(make_context(ROWS, max_new_tokens=4))
    assert (whole.value, whole.interval) == (0.0, (0.0, 0.0))
    assert each.value == 0.0


def test_batch_padding_and_order_change_nothing(make_context: MakeContext, reference: str) -> None:
    alone = make_context(ROWS, max_new_tokens=5, batch_size=1)
    expected = KlDivergence(reference).evaluate(alone)
    for seed, batch_size in ((0, 2), (1, 5), (2, 3)):
        shuffled = random.Random(seed).sample(ROWS, len(ROWS))
        together = make_context(shuffled, max_new_tokens=5, batch_size=batch_size)
        found = KlDivergence(reference).evaluate(together)
        for one, another in zip(expected, found, strict=True):
            assert one.value == pytest.approx(another.value, rel=1e-5)
        by_prompt = {s["prompt"]: s["scores"]["kl"] for s in together.samples}
        for sample in alone.samples:
            assert sample["scores"]["kl"] == pytest.approx(by_prompt[sample["prompt"]], rel=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_it_is_torchs_divergence_of_float64(scale: float) -> None:
    torch.manual_seed(0)
    p, q = (scale * torch.randn(7, 1000, dtype=torch.float64) for _ in range(2))
    expected = torch.nn.functional.kl_div(
        q.log_softmax(-1), p.log_softmax(-1), reduction="sum", log_target=True
    )
    assert divergence(p, q) == pytest.approx(float(expected), rel=1e-9)


def test_tokens_that_a_model_excludes_count_nothing_or_are_infinite() -> None:
    p, q = torch.zeros(1, 3), torch.zeros(1, 3)
    p[0, 2] = -math.inf
    assert divergence(p, q) == pytest.approx(math.log(3 / 2))
    assert divergence(q, p) == math.inf


def test_the_base_of_an_adapter_needs_no_second_model(
    model: Any, tokenizer: Any, plugins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = saved(model, tokenizer, tmp_path)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(model), config).eval()
    settings = EvaluationSettings(max_new_tokens=4)

    def of(reference: str) -> float:
        wanted = [KlDivergence(reference)]
        run = evaluate(adapted, tokenizer, ROWS, wanted, settings=settings, plugins=plugins)
        return run.metric("kl").value

    expected = of(base)
    monkeypatch.setattr("aligntune_eval.models.reference_model.load_model", None)
    assert of("base") == pytest.approx(expected, abs=1e-9)
    assert expected > 1e-3


def test_what_was_compared_before_is_kept_by_the_reference_s_weights(
    make_context: MakeContext, other: Any, tokenizer: Any, tmp_path: Path
) -> None:
    class Memory(dict[str, Any]):
        def put(self, entries: Mapping[str, Any]) -> None:
            self.update(json.loads(json.dumps(entries)))

    store = Memory()

    def run(folder: str) -> float:
        context = make_context(ROWS, max_new_tokens=4, batch_size=2)
        context.store = store
        return KlDivergence(folder).evaluate(context)[0].value

    reference = saved(other, tokenizer, tmp_path / "one")
    first = run(reference)
    kept = len(store)
    assert run(reference) == first
    assert len(store) == kept
    changed = copy.deepcopy(other)
    changed.lm_head.weight.data.mul_(0.9)
    saved(changed, tokenizer, tmp_path / "one")
    assert run(reference) != first
    assert len(store) == kept + len(ROWS)


@pytest.fixture
def nothing_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        pytest.fail("it generated")

    monkeypatch.setattr("aligntune_eval.asking.generation._generate_all", forbidden)


@pytest.mark.usefixtures("nothing_is_generated")
def test_mistakes_show_before_anything_is_generated(
    model: Any, tokenizer: Any, plugins: Any, tmp_path: Path
) -> None:
    def run(params: dict[str, Any], rows: Any = ROWS) -> None:
        generating = {"type": "reward", "params": {"reward": "size"}}
        wanted = [generating, {"type": "kl", "params": params}]
        few = EvaluationSettings(max_new_tokens=4)
        evaluate(model, tokenizer, rows, wanted, settings=few, plugins=plugins)

    with pytest.raises(EvaluationError, match="missing a required argument: 'reference_model'"):
        run({})
    with pytest.raises(EvaluationError, match=r"reference_model: .*no folder \./nowhere"):
        run({"reference_model": "./nowhere"})
    with pytest.raises(EvaluationError, match="'base', the model under an adapter, and this model"):
        run({"reference_model": "base"})
    with pytest.raises(EvaluationError, match="needs 'prompt', which row 0 does not have"):
        run({"reference_model": "base"}, [{"text": "a"}])
    larger = copy.deepcopy(model)
    larger.resize_token_embeddings(300)
    padded = saved(larger, tokenizer, tmp_path / "padded")
    with pytest.raises(EvaluationError, match=r"probabilities to 300 tokens, and the model to 258"):
        run({"reference_model": padded})
    shorter = copy.deepcopy(model)
    shorter.config.max_position_embeddings = 12
    short = saved(shorter, tokenizer, tmp_path / "short")
    with pytest.raises(EvaluationError, match=r"row 1 has 9 .*the 12 positions of the ref"):
        run({"reference_model": short})
    foreign = copy.deepcopy(tokenizer)
    foreign.add_tokens(["new"])
    saved(model, foreign, tmp_path / "more")  # one token more that nobody says is no difference
    with pytest.raises(pytest.fail.Exception, match="it generated"):
        run({"reference_model": str(tmp_path / "more")})
