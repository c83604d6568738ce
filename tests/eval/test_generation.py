"""Greedy completions are those of one unpadded prompt at a time, however rows are batched."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from tokenizers.processors import TemplateProcessing

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, prepare
from aligntune_eval.asking.generation import completions, samples_of
from aligntune_eval.metrics.choices import MultipleChoice

MakeContext = Callable[..., EvaluationContext]


def greedy(model: Any, ids: list[int], steps: int) -> list[int]:
    """Greedy decoding without a cache, padding or `generate`."""
    made: list[int] = []
    with torch.no_grad():
        while len(made) < steps and 256 not in made:
            made.append(int(model(torch.tensor([ids + made])).logits[0, -1].argmax()))
    return made


def test_greedy_completions_do_not_depend_on_batch_padding_or_order(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    @settings(max_examples=8, deadline=None)
    @given(
        prompts=st.lists(st.text("ab 1+", min_size=1, max_size=30), min_size=1, max_size=5),
        batch_size=st.integers(1, 6),
        seed=st.integers(0, 99),
    )
    def check(prompts: list[str], batch_size: int, seed: int) -> None:
        shuffled = random.Random(seed).sample(prompts, len(prompts))
        rows = [{"prompt": prompt} for prompt in shuffled]
        made = completions(make_context(rows, batch_size=batch_size, max_new_tokens=6))
        for prompt, completion in zip(shuffled, made, strict=True):
            assert completion.prompt == prompt
            assert completion.ids == greedy(model, tokenizer(prompt)["input_ids"], 6)
            assert completion.finished == (256 in completion.ids)

    check()


def test_messages_go_through_the_chat_template(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    context = make_context([{"prompt": [{"role": "user", "content": "hi"}]}], max_new_tokens=4)
    (made,) = completions(context)
    assert made.prompt == "<user>hi<|end|><assistant>"
    assert made.ids == greedy(model, tokenizer(made.prompt)["input_ids"], 4)
    assert context.samples[0]["completion"] == made.text


def test_an_answer_that_has_begun_is_continued(make_context: MakeContext) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "well"}]
    (made,) = completions(make_context([{"prompt": turns}], max_new_tokens=2))
    assert made.prompt == "<user>hi<|end|><assistant>well"


def test_two_evaluators_generate_once(make_context: MakeContext) -> None:
    context = make_context([{"prompt": "a"}], max_new_tokens=2)
    assert samples_of(context) is samples_of(context)
    assert completions(context) == [samples_of(context)[0][0]]


def test_the_models_own_sampling_defaults_do_not_count(
    make_context: MakeContext, model: Any
) -> None:
    rows = [{"prompt": "abc"}, {"prompt": "1+1"}]
    plain = completions(make_context(rows, max_new_tokens=8))
    context = make_context(rows, max_new_tokens=8)
    context.model = copy.deepcopy(model)
    own = context.model.generation_config
    own.do_sample, own.temperature, own.top_k, own.repetition_penalty = True, 5.0, 20, 3.0
    assert completions(context) == plain


@pytest.mark.parametrize("adapted", [False, True], ids=["model", "adapter"])
def test_nothing_else_of_the_models_defaults_changes_completions(
    make_context: MakeContext, model: Any, adapted: bool
) -> None:
    rows = [{"prompt": "abc"}, {"prompt": "1+1"}]
    plain = completions(make_context(rows, max_new_tokens=8))
    context = make_context(rows, max_new_tokens=8)
    context.model = changed = copy.deepcopy(model)
    own = changed.generation_config
    own.min_new_tokens, own.forced_eos_token_id, own.max_time = 7, 5, 1e-9
    own.bad_words_ids = [[plain[0].ids[0]]]
    own.suppress_tokens = [plain[1].ids[0]]
    own.guidance_scale, own.stop_strings, own.encoder_no_repeat_ngram_size = 3.0, ["a"], 1
    before = own.to_dict()
    if adapted:
        context.model = get_peft_model(changed, LoraConfig(r=2, target_modules=["q_proj"])).eval()
    assert completions(context) == plain
    assert changed.generation_config is own
    assert context.model.generation_config is own
    assert own.to_dict() == before


def test_sampling_repeats_for_its_seed(make_context: MakeContext) -> None:
    rows = [{"prompt": "abc"}, {"prompt": "1+1="}]

    def sampled(seed: int) -> list[list[int]]:
        context = make_context(rows, max_new_tokens=12, temperature=1.5, seed=seed)
        return [completion.ids for completion in completions(context)]

    assert sampled(1) == sampled(1)
    assert sampled(1) != sampled(2)


def test_a_stop_token_ends_the_completion_and_is_not_in_its_text(
    make_context: MakeContext, model: Any, tokenizer: Any
) -> None:
    context = make_context([{"prompt": "abc"}], max_new_tokens=8)
    context.model = copy.deepcopy(model)
    ids = greedy(model, tokenizer("abc")["input_ids"], 8)
    stop = ids[2]
    context.model.generation_config.eos_token_id = [256, stop]
    (made,) = completions(context)
    assert made.finished
    assert made.ids == ids[: ids.index(stop) + 1]
    assert made.text == tokenizer.decode(made.ids[:-1])


def test_too_long_for_the_model_is_an_error_before_generation(make_context: MakeContext) -> None:
    rows = [{"prompt": "short"}, {"prompt": "x" * 60}]
    with pytest.raises(EvaluationError, match=r"row 1 has 60 tokens.*exceeds the 64 positions"):
        completions(make_context(rows, max_new_tokens=8))


def test_an_end_that_the_tokenizer_adds_is_no_part_of_a_prompt(
    make_context: MakeContext, tokenizer: Any
) -> None:
    rows = [{"prompt": text, "choices": ["ab", "c"], "answer": 0} for text in ("1+1=", "", "abc")]
    found = []
    for adding in (False, True):
        context = make_context(rows, max_new_tokens=6)
        context.tokenizer = copy.deepcopy(tokenizer)
        if adding:
            context.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
                single="$A <|end|>", special_tokens=[("<|end|>", 256)]
            )
            assert context.tokenizer("a")["input_ids"][-1] == 256
        asked = [each.logprobs.tolist() for each in MultipleChoice().questions(context)]
        found.append((completions(context), asked))
    assert found[0] == found[1]


def test_a_prompt_of_the_wrong_kind_is_an_error(make_context: MakeContext) -> None:
    with pytest.raises(EvaluationError, match="'prompt' must hold text or chat messages"):
        completions(make_context([{"prompt": 7}], max_new_tokens=8))


def test_torchs_random_state_and_the_models_mode_survive(
    model: Any, tokenizer: Any, plugins: Any
) -> None:
    trained = copy.deepcopy(model).train()
    trained.lm_head.eval()
    before = torch.get_rng_state()
    modes = [module.training for module in trained.modules()]
    prepare(
        [{"prompt": "ab", "answer": "c", "completion": "c"}],
        ["accuracy", "perplexity"],
        EvaluationSettings(max_new_tokens=4, temperature=1.0),
        plugins,
    ).run(trained, tokenizer)
    assert torch.equal(before, torch.get_rng_state())
    assert [module.training for module in trained.modules()] == modes


@pytest.mark.parametrize(
    "later",
    [
        "exact_match",
        "multiple_choice",
        "preference_accuracy",
        {"type": "win_rate", "params": {"reward": "size", "baseline": "text"}},
        {"type": "kl", "params": {"reference_model": "base"}},
    ],
    ids=str,
)
def test_what_does_not_fit_shows_before_anything_is_generated_or_scored(
    model: Any, tokenizer: Any, plugins: Any, later: Any
) -> None:
    row = {"prompt": "x" * 61, "text": "a", "choices": ["abcd", "de"], "answer": 0}
    row |= {"chosen": "abcd", "rejected": "b"}
    prepared = prepare([row], ["loss", later], EvaluationSettings(max_new_tokens=8), plugins)
    asked: list[int] = []
    hook = model.register_forward_pre_hook(lambda *_: asked.append(1))
    try:
        with pytest.raises(EvaluationError, match=r"row 0 .*the 64 positions of the model"):
            prepared.run(model, tokenizer)
    finally:
        hook.remove()
    assert not asked
