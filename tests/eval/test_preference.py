"""Preference accuracy and reward margin, against a loop that scores one token after the other."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aligntune.errors import DataError, EvaluationError, NotRegisteredError
from aligntune.evaluation import (
    EvalTask,
    Evaluation,
    EvaluationContext,
    EvaluationSettings,
    evaluate,
)
from aligntune.evaluation.preference import preference_accuracy, preferred, reward_margin
from aligntune.testing import make_model, preference_rows
from aligntune_eval.asking.generation import samples_of
from aligntune_eval.preference.evaluators import PreferenceAccuracy, RewardMargin
from aligntune_eval.tasks import prepare_task

Measure = Callable[..., Evaluation]

ROWS: list[dict[str, Any]] = [
    {"prompt": "2+2=", "chosen": "4", "rejected": "five"},
    {"prompt": "a, b: ", "chosen": "ab and b", "rejected": "b"},
    {"prompt": "hi", "chosen": " you", "rejected": " you there"},
    {"prompt": "é", "chosen": "è", "rejected": "e"},
]
END = 256


def spoken(text: str, role: str = "assistant") -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def chat(row: Mapping[str, str]) -> dict[str, Any]:
    prompt = spoken(row["prompt"], "user")
    return {"prompt": prompt, **{name: spoken(row[name]) for name in ("chosen", "rejected")}}


def logprob(model: Any, before: list[int], after: list[int]) -> float:
    """The log of p(after | before), one unpadded forward pass for each token, in float64."""
    model = copy.deepcopy(model).double()
    total = 0.0
    for place, token in enumerate(after):
        with torch.no_grad():
            logits = model(torch.tensor([before + after[:place]])).logits[0, -1]
        total += float(torch.log_softmax(logits, -1)[token])
    return total


def of_texts(model: Any, tokenizer: Any, row: Mapping[str, str], side: str) -> float:
    """The log-likelihood of an answer that is text, and of the end behind it."""
    prompt, answer = (tokenizer(row[name])["input_ids"] for name in ("prompt", side))
    return logprob(model, prompt, [*answer, END])


@pytest.fixture(scope="module")
def both(model: Any) -> tuple[Any, Any]:
    """The model, and one with other weights."""
    torch.manual_seed(1)
    made = type(model)(model.config).eval()
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.3)
    return model, made


@pytest.fixture(scope="module")
def reference(
    both: tuple[Any, Any], tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of the other model."""
    folder = tmp_path_factory.mktemp("reference")
    both[1].save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def measure(model: Any, tokenizer: Any, plugins: Any) -> Measure:
    def run(rows: list[dict[str, Any]], *wanted: Any, **more: Any) -> Evaluation:
        chosen = EvaluationSettings(max_new_tokens=3, **more)
        return evaluate(model, tokenizer, rows, wanted, settings=chosen, plugins=plugins)

    return run


@pytest.mark.parametrize("normalized", [False, True])
def test_without_a_reference_the_log_likelihoods_are_compared(
    measure: Measure, model: Any, tokenizer: Any, normalized: bool
) -> None:
    found = measure(
        ROWS,
        PreferenceAccuracy(length_normalized=normalized),
        RewardMargin(length_normalized=normalized),
        batch_size=3,
    )
    expected = []
    for row in ROWS:
        chosen, rejected = (of_texts(model, tokenizer, row, s) for s in ("chosen", "rejected"))
        if normalized:
            chosen /= len(row["chosen"].encode()) + 1
            rejected /= len(row["rejected"].encode()) + 1
        expected.append(chosen - rejected)
    margin, accuracy = found.metric("reward_margin"), found.metric("preference_accuracy")
    assert [s["scores"]["reward_margin"] for s in found.samples] == pytest.approx(
        expected, abs=1e-5
    )
    assert margin.value == pytest.approx(sum(expected) / 4, abs=1e-5)
    assert accuracy.value == sum(value > 0 for value in expected) / 4
    assert (margin.n, margin.details["interval"]) == (4, "bootstrap")
    assert (accuracy.n, accuracy.details["interval"], accuracy.details["ties"]) == (4, "wilson", 0)
    assert margin.unit == ("nats/token" if normalized else "nats")
    assert margin.low is not None
    assert margin.high is not None
    assert margin.low < margin.value < margin.high


@pytest.mark.parametrize("talk", [False, True], ids=["text", "chat"])
def test_with_a_reference_the_rewards_are_log_ratios(
    measure: Measure, both: tuple[Any, Any], tokenizer: Any, reference: Path, talk: bool
) -> None:
    model, other = both
    rows = [chat(row) for row in ROWS] if talk else ROWS
    found = measure(
        rows, RewardMargin(str(reference), beta=0.7), PreferenceAccuracy(str(reference))
    )
    margins = []
    for row, sample in zip(ROWS, found.samples, strict=True):
        rewards = {}
        for side in ("chosen", "rejected"):
            asked = f"<user>{row['prompt']}<|end|><assistant>" if talk else row["prompt"]
            before = tokenizer(asked)["input_ids"]
            after = [*tokenizer(row[side])["input_ids"], END]
            ratio = logprob(model, before, after) - logprob(other, before, after)
            rewards[side] = 0.7 * ratio
            assert sample[f"reward_margin/{side}"] == pytest.approx(rewards[side], abs=1e-5)
            assert sample[f"preference_accuracy/{side}"] == pytest.approx(0.1 * ratio, abs=1e-5)
        margins.append(rewards["chosen"] - rewards["rejected"])
    assert found.metric("reward_margin").value == pytest.approx(sum(margins) / 4, abs=1e-5)
    accuracy = found.metric("preference_accuracy")
    assert accuracy.value == sum(margin > 0 for margin in margins) / 4
    assert accuracy.details["reference_model"] == str(reference)


def test_a_model_is_undecided_about_itself(
    measure: Measure, model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = measure(ROWS, PreferenceAccuracy(str(tmp_path)), RewardMargin(str(tmp_path)))
    assert found.values() == {"preference_accuracy": 0.5, "reward_margin": 0.0}
    assert found.metric("preference_accuracy").details["ties"] == 4
    assert found.metric("reward_margin").interval == (0.0, 0.0)


def test_ties_count_half() -> None:
    assert preferred([1.0, 2.0, 3.0], [0.0, 2.0, 4.0]) == [1.0, 0.5, 0.0]
    metric = preference_accuracy("a", [1.0, 2.0, 3.0, 5.0], [0.0, 2.0, 4.0, 1.0])
    assert (metric.value, metric.details["ties"]) == (0.625, 1)
    assert metric.details["interval"] == "bootstrap"
    assert reward_margin("m", [1.0, 1.0], [0.0, 0.0]).details["interval"] == "bootstrap"


def test_an_explicit_reward_scores_both_texts(measure: Measure) -> None:
    longer = {"reward": "size"}
    rows = [
        {"prompt": "a", "chosen": "four", "rejected": "two"},
        {"prompt": "a", "chosen": "x", "rejected": "yy"},
        {"prompt": "a", "chosen": "m", "rejected": "n"},
    ]
    found = measure(
        [chat(row) for row in rows], PreferenceAccuracy(**longer), RewardMargin(**longer)
    )
    assert found.values() == {"preference_accuracy": 0.5, "reward_margin": 0.0}
    assert [s["scores"]["reward_margin"] for s in found.samples] == [1.0, -1.0, 0.0]
    assert found.metric("reward_margin").details["reward"] == "size"
    answered = [{**row, "answer": row["chosen"]} for row in rows]
    verified = measure(answered, PreferenceAccuracy(reward="accuracy"))
    assert verified.values() == {"preference_accuracy": 1.0}


def test_pairs_are_what_dpo_takes_for_pairs(measure: Measure) -> None:
    whole = [
        {name: [*row["prompt"], *row[name]] for name in ("chosen", "rejected")}
        for row in map(chat, ROWS)
    ]
    mixed = [{**chat(row), "prompt": row["prompt"]} for row in ROWS]
    expected = measure([chat(row) for row in ROWS], "reward_margin").metric("reward_margin")
    for rows in (whole, mixed):
        assert measure(rows, "reward_margin").metric("reward_margin").value == expected.value
    same = [*ROWS, {"prompt": "a", "chosen": "b", "rejected": "b"}]
    found = measure(same, "reward_margin").metric("reward_margin")
    assert (found.n, found.details["left_out"]) == (4, {"chosen and rejected are the same": 1})


def test_batch_padding_and_order_change_nothing(measure: Measure, reference: Path) -> None:
    @settings(max_examples=10, deadline=None)
    @given(
        texts=st.lists(
            st.tuples(*[st.text("ab é", min_size=1, max_size=12)] * 3).filter(
                lambda row: all(map(str.strip, row)) and row[1] != row[2]
            ),
            min_size=2,
            max_size=6,
            unique=True,
        ),
        batch_size=st.integers(1, 7),
        seed=st.integers(0, 99),
    )
    def check(texts: list[tuple[str, str, str]], batch_size: int, seed: int) -> None:
        rows = [{"prompt": p, "chosen": c, "rejected": r} for p, c, r in texts]
        shuffled = random.Random(seed).sample(rows, len(rows))
        margin = RewardMargin(str(reference), beta=1.0)
        alone = measure(rows, margin, batch_size=1)
        together = measure(shuffled, margin, batch_size=batch_size)
        ours, theirs = (
            {tuple(row.values()): s["scores"]["reward_margin"] for row, s in pairs}
            for pairs in (
                zip(rows, alone.samples, strict=True),
                zip(shuffled, together.samples, strict=True),
            )
        )
        assert ours == pytest.approx(theirs, abs=1e-4)
        assert alone.metric("reward_margin").value == pytest.approx(
            together.metric("reward_margin").value, abs=1e-4
        )

    check()


def test_the_store_answers_for_both_models(
    make_context: Callable[..., EvaluationContext], reference: Path, monkeypatch: Any
) -> None:
    class Memory(dict[str, Any]):
        def put(self, entries: Mapping[str, Any]) -> None:
            self.update(entries)

    def forbidden(*_: Any) -> None:
        pytest.fail("it scored again")

    store, margin = Memory(), RewardMargin(str(reference))
    context = make_context(ROWS)
    context.store = store
    first = margin.evaluate(context)[0]
    assert len(store) == 16
    monkeypatch.setattr("aligntune_eval.asking.likelihood._answers", forbidden)
    again = make_context(ROWS)
    again.store = store
    assert margin.evaluate(again)[0] == first


def test_another_reference_is_asked_anew(
    make_context: Callable[..., EvaluationContext],
    both: tuple[Any, Any],
    tokenizer: Any,
    reference: Path,
    tmp_path: Path,
) -> None:
    class Memory(dict[str, Any]):
        def put(self, entries: Mapping[str, Any]) -> None:
            self.update(entries)

    both[0].save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    context = make_context(ROWS)
    context.store = Memory()
    margin, none = (
        RewardMargin(str(place)).evaluate(context)[0].value for place in (reference, tmp_path)
    )
    assert margin != 0
    assert none == 0


def test_finished_results_rest_on_the_weights_of_the_reference(
    both: tuple[Any, Any], tokenizer: Any, plugins: Any, tmp_path: Path
) -> None:
    made = []
    for other in both:
        other.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        wanted = {"type": "reward_margin", "params": {"reference_model": str(tmp_path)}}
        task = EvalTask(name="pairs", dataset=ROWS, metrics=[wanted])
        made += [prepare_task(task, plugins).fingerprint for _ in range(2)]
    assert made[0] == made[1] != made[2] == made[3]


@pytest.fixture
def nothing_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        pytest.fail("it generated, or scored")

    monkeypatch.setattr("aligntune_eval.asking.generation._generate_all", forbidden)
    monkeypatch.setattr("aligntune_eval.asking.likelihood._answers", forbidden)


@pytest.mark.usefixtures("nothing_is_generated")
@pytest.mark.parametrize(
    ("change", "params", "said"),
    [
        ({"rejected": None}, {}, r"needs 'rejected', which row 1 does not have.*prompt, chosen"),
        ({"chosen": {"a": 1}}, {}, r"row 1: the chosen is \{'a': 1\}; expected text or chat"),
        ({}, {"reference_model": "./nowhere"}, r"reference_model: .*no folder \./nowhere"),
        ({}, {"reference_model": "base"}, r"this model has no adapter; name the folder"),
        ({}, {"beta": 0.3}, r"beta is 0\.3; it scales the log-ratio to a `reference_model`"),
        ({}, {"reference_model": "base", "beta": 0}, r"beta is 0; it must be above 0"),
        ({}, {"reference_model": "base", "reward": "size"}, "reward and reference_model are set"),
        ({}, {"length_normalized": True, "reward": "size"}, "reward and length_normalized are"),
        ({}, {"params": {"a": 1}}, "params are those of a reward; set `reward`"),
        ({}, {"trust_remote_code": True}, "trust_remote_code is for the `reference_model`"),
    ],
)
def test_mistakes_show_before_anything_is_scored(
    measure: Measure, change: dict[str, Any], params: dict[str, Any], said: str
) -> None:
    rows = [ROWS[0], {**ROWS[1], **change}, *ROWS[2:]]
    generating = {"type": "reward", "params": {"reward": "size"}}
    with pytest.raises(EvaluationError, match=said):
        measure(rows, generating, {"type": "reward_margin", "params": params})


@pytest.mark.usefixtures("nothing_is_generated")
def test_a_reward_that_is_not_there_or_lacks_a_column(measure: Measure) -> None:
    with pytest.raises(NotRegisteredError, match=r"sise.*did you mean 'size'"):
        measure(ROWS, PreferenceAccuracy(reward="sise"))
    with pytest.raises(DataError, match=r"needs a reference.*chosen, prompt, rejected"):
        measure(ROWS, PreferenceAccuracy(reward="accuracy"))
    with pytest.raises(EvaluationError, match=r"no row holds a pair.*are the same \(1 rows"):
        measure([{"prompt": "a", "chosen": "b", "rejected": "b"}], "preference_accuracy")


@pytest.mark.usefixtures("nothing_is_generated")
def test_a_reference_that_an_answer_does_not_fit_is_refused(
    measure: Measure, model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    shorter = copy.deepcopy(model)
    shorter.config.max_position_embeddings = 12
    shorter.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    said = r"chosen answer of row 1, read by the reference model, has 15 tokens, .*the 12 position"
    with pytest.raises(EvaluationError, match=said):
        measure(ROWS, RewardMargin(str(tmp_path)))


@pytest.mark.usefixtures("nothing_is_generated")
def test_a_reference_with_another_vocabulary_is_refused(measure: Measure, tmp_path: Path) -> None:
    reference = str(make_model(tmp_path / "other"))
    said = r"another vocabulary than the model: token 0 is '<\|pad\|>' there and '!' here"
    with pytest.raises(EvaluationError, match=said):
        measure(ROWS, RewardMargin(reference))


def test_an_answer_that_does_not_fit_is_named(measure: Measure) -> None:
    rows = [*ROWS, {"prompt": "a", "chosen": "b" * 80, "rejected": "c"}]
    with pytest.raises(EvaluationError, match=r"the chosen answer of row 4 has 82 tokens.*64"):
        measure(rows, "reward_margin")


def test_the_base_of_an_adapter_is_the_adapter_switched_off(
    model: Any, tokenizer: Any, plugins: Any, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(model), config).eval()
    rows = preference_rows(6)
    wanted = [RewardMargin(str(tmp_path), name="folder"), RewardMargin("base", name="base")]
    found = evaluate(adapted, tokenizer, rows, wanted, plugins=plugins)
    assert found.metric("base").value == pytest.approx(found.metric("folder").value, abs=1e-6)
    assert abs(found.metric("base").value) > 1e-4
    for other in ({"init_lora_weights": "olora"}, {"bias": "all"}):
        moved = LoraConfig(**{"r": 2, "target_modules": ["q_proj"], **other})
        elsewhere = get_peft_model(copy.deepcopy(model), moved)
        with pytest.raises(EvaluationError, match="does not leave the model that training began"):
            evaluate(elsewhere, tokenizer, rows, wanted[1:], plugins=plugins)


def test_no_completion_is_made(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{samples_of.__module__}._generate_all", None)
    assert "completion" not in measure(ROWS, "preference_accuracy").samples[0]
