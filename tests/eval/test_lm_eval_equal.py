"""Our own evaluators give lm-eval's numbers on the same model, prompts and texts."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval_files import answer_task, choice_task
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from aligntune.evaluation import EvalTask, Evaluation
from aligntune.plugins import Plugins
from aligntune_eval.harness import harness_task
from aligntune_eval.tasks import prepare_task

pytest.importorskip("lm_eval")

WINDOW = 48
WORDS = [
    *("the", "cat", "sat", "on", "a", "mat", "and", "was", "in", "12", "+", "7", "=", "19.\n\t"),
    *("Größe", "漢字", "🙂", "“quotes”"),
]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": WINDOW,
    "initializer_range": 0.3,
}


def prose(words: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


TEXTS = [
    "x",
    "A short text.",
    "Größe, 漢字 and 🙂.",
    "",
    "\n",
    "one\n\n\n  two\n",
    *(prose(words, words) for words in (7, 30, 31, 90, 200)),
]


def make_tokenizer(bos: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE with 120 merges; with `bos`, one that begins every text with it."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator([prose(400, seed) for seed in range(20)], trainer)
    names: dict[str, Any] = {"eos_token": "</s>", "pad_token": "<pad>"}
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)]
        )
        names["bos_token"] = "<s>"
    return PreTrainedTokenizerFast(tokenizer_object=core, **names)


def make(kind: str) -> tuple[Any, Any]:
    """A random model of an architecture, and its tokenizer."""
    bos = kind in ("llama", "gemma3")
    tokenizer = make_tokenizer(bos)
    ids: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(0)
    if kind == "gpt2":
        config = GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=WINDOW, initializer_range=0.3, **ids
        )
        return GPT2LMHeadModel(config).eval(), tokenizer
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**SIZES, **ids)).eval(), tokenizer
    if kind == "gemma3":
        # Two kinds of attention, of which one sees 16 tokens.
        layers = ["sliding_attention", "full_attention"]
        config = Gemma3TextConfig(**SIZES, **ids, sliding_window=16, layer_types=layers)
        return Gemma3ForCausalLM(config).eval(), tokenizer
    return Qwen3ForCausalLM(Qwen3Config(**SIZES, **ids)).eval(), tokenizer


@pytest.fixture(scope="module", params=["llama", "gpt2", "qwen3", "gemma3"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return make(request.param)


def ours(task: EvalTask, pair: tuple[Any, Any], plugins: Plugins) -> Evaluation:
    return prepare_task(task, plugins, batch_size=3).run(*pair)


def near(mine: float, theirs: float) -> None:
    assert math.isclose(mine, theirs, rel_tol=1e-4), (mine, theirs)


def rolling(pair: tuple[Any, Any], **options: Any) -> list[float]:
    """lm-eval's `loglikelihood_rolling` of each text."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    asked = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in TEXTS]
    model, tokenizer = pair
    found: list[float] = HFLM(
        pretrained=model, tokenizer=tokenizer, batch_size=4, **options
    ).loglikelihood_rolling(asked, disable_tqdm=True)
    return found


def test_perplexity_and_bits_per_byte(pair: tuple[Any, Any], plugins: Plugins) -> None:
    tokenizer = pair[1]
    # Of a tokenizer that begins each text with a token, lm-eval scores that token after itself,
    # unless it is told that the tokenizer should not; see the next test.
    options = {"add_bos_token": False} if tokenizer.bos_token else {}
    theirs = rolling(pair, **options)
    rows = [{"text": text} for text in TEXTS]
    mine = ours(EvalTask(name="t", dataset=rows, metrics=["perplexity"]), pair, plugins)
    for sample, loglikelihood in zip(mine.samples, theirs, strict=True):
        assert math.isclose(sample["nll"], -loglikelihood, rel_tol=1e-5, abs_tol=1e-9)
    tokens = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in TEXTS)
    size = sum(len(text.encode()) for text in TEXTS)
    near(mine.metric("perplexity").value, math.exp(-math.fsum(theirs) / tokens))
    near(mine.metric("bits_per_byte").value, -math.fsum(theirs) / size / math.log(2))
    assert tokens > 6 * WINDOW


def test_with_special_tokens_it_is_the_default_of_lm_eval(
    pair: tuple[Any, Any], plugins: Plugins
) -> None:
    wanted = {"type": "perplexity", "params": {"special_tokens": True}}
    rows = [{"text": text} for text in TEXTS]
    mine = ours(EvalTask(name="t", dataset=rows, metrics=[wanted]), pair, plugins)
    for sample, loglikelihood in zip(mine.samples, rolling(pair), strict=True):
        assert math.isclose(sample["nll"], -loglikelihood, rel_tol=1e-5, abs_tol=1e-9)


def test_what_lm_eval_scores_besides(plugins: Plugins) -> None:
    model, tokenizer = make("llama")
    begin = tokenizer.bos_token_id
    with torch.no_grad():
        logits = model(torch.tensor([[begin]])).logits[0, 0]
    extra = float(torch.log_softmax(logits, -1)[begin])
    assert extra < -1
    both = zip(
        TEXTS[:4],
        rolling((model, tokenizer)),
        rolling((model, tokenizer), add_bos_token=False),
        strict=False,
    )
    for text, told, plain in both:
        after = [begin, begin, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            logs = torch.log_softmax(model(torch.tensor([after])).logits[0], -1)
        exact = sum(float(logs[place, token]) for place, token in enumerate(after[1:]))
        assert told == pytest.approx(exact, rel=1e-5)
        assert plain != pytest.approx(told, rel=1e-4)


def test_choices(pair: tuple[Any, Any], tmp_path: Path, plugins: Plugins) -> None:
    path = choice_task(tmp_path)
    ready = harness_task(str(path))
    theirs = ready.run(*pair)
    task = EvalTask(
        name="c",
        dataset=ready.rows,
        prompt="{{ question }}",
        choices="{{ choices }}",
        reference="{{ gold }}",
        metrics=["multiple_choice"],
    )
    mine = ours(task, pair, plugins)
    for name in ("acc", "acc_norm"):
        found, other = mine.metric(name), theirs.metric(name)
        assert (found.value, found.n, found.low, found.high) == (
            other.value,
            other.n,
            other.low,
            other.high,
        )
        assert found.stderr == pytest.approx(other.stderr, rel=1e-12)
    for one, other in zip(mine.samples, theirs.samples, strict=True):
        for asked, known in zip(one["requests"], other["requests"], strict=True):
            assert asked["continuation"] == known["continuation"]
            assert asked["greedy"] == known["greedy"]
            near(asked["logprob"], known["logprob"])


def test_completions(pair: tuple[Any, Any], tmp_path: Path, plugins: Plugins) -> None:
    rows = [{"question": prose(3 + n % 5, n), "answer": "?"} for n in range(8)]
    keys: dict[str, Any] = {
        "generation_kwargs": {"until": ["at", "\n"], "max_gen_toks": 8, "do_sample": False}
    }
    first = harness_task(str(answer_task(tmp_path / "first", rows, **keys))).run(*pair)
    for index, (row, sample) in enumerate(zip(rows, first.samples, strict=True)):
        row["answer"] = sample["completion"] if index % 2 else "no"
    theirs = harness_task(str(answer_task(tmp_path / "second", rows, **keys))).run(*pair)
    task = EvalTask(
        name="a",
        dataset=rows,
        prompt="{{ question }}",
        reference="{{ answer }}",
        metrics=["exact_match"],
        max_new_tokens=8,
        stop=["at", "\n"],
    )
    mine = ours(task, pair, plugins)
    assert [s["completion"] for s in mine.samples] == [s["completion"] for s in theirs.samples]
    assert mine.metric("exact_match").value == theirs.metric("exact_match").value == 0.5


def test_prompts_with_examples(pair: tuple[Any, Any], tmp_path: Path, plugins: Plugins) -> None:
    rows = [{"question": f"{n} + 1 =", "answer": str(n + 1)} for n in range(5)]
    examples = {"sampler": "first_n", "samples": rows[:2]}
    path = answer_task(tmp_path, rows[2:], fewshot_config=examples, num_fewshot=2)
    theirs = harness_task(str(path)).run(*pair)
    task = EvalTask(
        name="a",
        dataset=rows,
        prompt="{{ question }}",
        reference="{{ answer }}",
        metrics=["exact_match"],
        num_fewshot=2,
        fewshot_sampler="first",
        max_new_tokens=4,
        stop=["\n"],
    )
    mine = prepare_task(task, plugins)
    asked = [sample["prompt"] for sample in theirs.samples]
    assert [row["prompt"] for row in mine.rows[2:]] == asked
