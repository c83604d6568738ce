"""Rewards with models of their own: their values by an independent formula, and what is refused."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bags import Make, expected_logits
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from aligntune import plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, as_reward, build_scorer
from aligntune_rewards import (
    CoherenceReward,
    HarmfulContentReward,
    HelpfulnessReward,
    RewardModelReward,
    ToxicityReward,
)

TEXTS = ["good", "bad bad", "word good word good bad word", "", "unknown"]
PROMPTS = ["ask", "ask word", "", "ask ask ask", "good"]


def pair(prompt: str, text: str) -> list[str]:
    return ["[CLS]", *prompt.split(), "[SEP]", *text.split(), "[SEP]"]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_reward_model_gives_its_logit_whatever_the_batch(bag: Make, batch_size: int) -> None:
    reward = RewardModelReward(bag(), batch_size=batch_size)
    wanted = [expected_logits(pair(p, t))[0] for p, t in zip(PROMPTS, TEXTS, strict=True)]
    assert len(set(np.round(wanted, 3))) > 3
    assert reward.compute_batch(RewardBatch(TEXTS, PROMPTS)) == pytest.approx(wanted, abs=1e-5)
    assert reward.compute("bad bad", "ask word") == pytest.approx(wanted[1], abs=1e-5)
    assert not reward.loaded.model.training


@pytest.mark.parametrize(
    ("inputs", "tokens"),
    [
        ("pair", pair("ask", "good good")),
        ("concat", ["[CLS]", "ask", "good", "good", "[SEP]"]),
        ("completion", ["[CLS]", "good", "good", "[SEP]"]),
        ("auto", pair("ask", "good good")),
    ],
)
def test_how_prompt_and_completion_are_put_together(
    bag: Make, inputs: Any, tokens: list[str]
) -> None:
    reward = RewardModelReward(bag(), inputs=inputs)
    assert reward.compute(" good good", "ask") == pytest.approx(
        expected_logits(tokens)[0], abs=1e-5
    )


def test_messages_are_read_as_text_where_there_is_no_template(bag: Make) -> None:
    prompt = [{"role": "system", "content": "word"}, {"role": "user", "content": "ask"}]
    batch = RewardBatch(["good"], [prompt], messages=[[{"role": "assistant", "content": "good"}]])
    found = RewardModelReward(bag()).compute_batch(batch)
    assert found == pytest.approx([expected_logits(pair("word ask", "good"))[0]], abs=1e-5)


def test_one_of_several_labels(bag: Make) -> None:
    folder = bag(("poor", "fair", "fine"))
    tokens = ["[CLS]", "good", "bad", "[SEP]"]
    for label, index in (("fair", 1), (2, 2)):
        reward = RewardModelReward(folder, target_label=label, inputs="completion")
        wanted = expected_logits(tokens, 3)[index]
        assert reward.compute("good bad") == pytest.approx(wanted, abs=1e-5)
    with pytest.raises(
        ConfigError, match=r"labels of '.*' are 0 poor, 1 fair, 2 fine; set params\.t"
    ):
        RewardModelReward(folder).load()
    with pytest.raises(ConfigError, match=r"params\.target_label names 'good', .* 0 poor, 1 fair"):
        RewardModelReward(folder, target_label="good").load()


def test_a_chat_template_is_used_where_there_is_one(chat_reward_model: str) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(chat_reward_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(chat_reward_model)
    prompts = [[{"role": "user", "content": q}] for q in ("one plus one", "2+2=")]
    answers = [[{"role": "assistant", "content": a}] for a in ("two", "it is four, I think")]
    wanted = []
    for prompt, answer in zip(prompts, answers, strict=True):
        text = tokenizer.apply_chat_template([*prompt, *answer], tokenize=False)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        with torch.no_grad():
            wanted.append(float(model(**ids).logits[0, 0]))
    assert abs(wanted[0] - wanted[1]) > 0.01
    reward = RewardModelReward(chat_reward_model)
    texts = [answer[0]["content"] for answer in answers]
    talk = RewardBatch(texts, prompts, messages=answers)
    assert reward.compute_batch(talk) == pytest.approx(wanted, abs=1e-5)
    plain = RewardBatch(texts, [prompt[0]["content"] for prompt in prompts])
    assert reward.compute_batch(plain) == pytest.approx(wanted, abs=1e-5)


def test_an_empty_text_is_read_as_the_end_where_a_tokenizer_adds_nothing(
    chat_reward_model: str,
) -> None:
    reward = RewardModelReward(chat_reward_model, inputs="completion")
    assert reward.loaded.tokenizer("")["input_ids"] == []
    empty, end = reward.compute_batch(RewardBatch(["", "<|end|>"]))
    assert empty == end
    assert math.isfinite(float(empty or 0))


def test_what_is_too_long_loses_its_beginning_and_is_counted(
    bag: Make, caplog: pytest.LogCaptureFixture
) -> None:
    reward = RewardModelReward(bag(), inputs="completion", max_length=5)
    with caplog.at_level(logging.WARNING, "aligntune"):
        found = reward.compute_batch(RewardBatch(["bad bad bad word word good", "good"]))
    tokens = [["[CLS]", "word", "word", "good", "[SEP]"], ["[CLS]", "good", "[SEP]"]]
    assert found == pytest.approx([expected_logits(each)[0] for each in tokens], abs=1e-5)
    assert caplog.messages == [
        "reward 'reward_model': 1 of 2 inputs are longer than 5 tokens and lost their beginning"
    ]


def test_prompts_are_needed_where_they_are_scored(bag: Make) -> None:
    with pytest.raises(ValueError, match="no prompts are given"):
        RewardModelReward(bag()).compute("good")


def test_helpfulness_is_the_sigmoid_of_the_logit(bag: Make) -> None:
    reward = HelpfulnessReward(bag())
    wanted = [sigmoid(expected_logits(pair("ask", text))[0]) for text in TEXTS]
    found = reward.compute_batch(RewardBatch(TEXTS, ["ask"] * len(TEXTS)))
    assert found == pytest.approx(wanted, abs=1e-5)


def test_toxicity_of_labels_that_judge_each_by_itself(bag: Make) -> None:
    folder = bag(("toxic", "threat", "insult"), problem_type="multi_label_classification")
    logits = expected_logits(["[CLS]", "bad", "word", "[SEP]"], 3)
    reward = ToxicityReward(folder)
    assert reward.compute("bad word") == pytest.approx(1 - sigmoid(max(logits)), abs=1e-5)
    reward = ToxicityReward(folder, unsafe=["threat", 2])
    assert reward.compute("bad word") == pytest.approx(1 - sigmoid(max(logits[1:])), abs=1e-5)
    single = expected_logits(["[CLS]", "bad", "[SEP]"])[0]
    assert ToxicityReward(bag()).compute("bad") == pytest.approx(1 - sigmoid(single), abs=1e-5)


def test_harm_of_labels_that_exclude_each_other(bag: Make) -> None:
    logits = expected_logits(["[CLS]", "bad", "word", "[SEP]"], 3)
    shares = np.exp(logits) / np.exp(logits).sum()
    reward = HarmfulContentReward(bag(("OK", "hate", "violence")))
    assert reward.compute("bad word") == pytest.approx(shares[0], abs=1e-5)
    named = HarmfulContentReward(bag(("a", "b", "c")), unsafe="b")
    assert named.compute("bad word") == pytest.approx(1 - shares[1], abs=1e-5)
    with pytest.raises(ConfigError, match=r"are 0 a, 1 b, 2 c; set params\.unsafe"):
        HarmfulContentReward(bag(("a", "b", "c"))).load()
    with pytest.raises(ConfigError, match=r"params\.unsafe names 'd'"):
        HarmfulContentReward(bag(("a", "b", "c")), unsafe=["d"]).load()
    with pytest.raises(ConfigError, match=r"are 0 ok; set params\.unsafe"):
        HarmfulContentReward(bag(("ok",))).load()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_coherence_is_the_perplexity_of_the_completion(
    language_model: str, batch_size: int
) -> None:
    model = AutoModelForCausalLM.from_pretrained(language_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    prompts, texts = ["2+2=", "", "Name a city, please: "], ["4", "abc", "Paris is one"]
    wanted = []
    for prompt, text in zip(prompts, texts, strict=True):
        before = f"<|user|>{prompt}<|assistant|>" if prompt else "<|pad|>"
        head, tail = (tokenizer(part)["input_ids"] for part in (before, text))
        labels = [-100] * len(head) + tail
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([head + tail]), labels=torch.tensor([labels])).loss
        wanted.append(20 / (20 + math.exp(float(loss))))
    reward = CoherenceReward(language_model, batch_size=batch_size, enough=0.0)
    found = reward.compute_batch(RewardBatch(texts, prompts))
    assert found == pytest.approx(wanted, rel=1e-4)
    assert reward.compute("", "2+2=") == 0.0
    assert reward.compute(" " * 3, "2+2=") > 0.0  # type: ignore[operator]


def test_coherence_of_a_model_that_knows_nothing(language_model: str, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(language_model)
    for weight in model.parameters():
        weight.data.zero_()
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(language_model).save_pretrained(tmp_path)
    reward = CoherenceReward(str(tmp_path), midpoint=10.0, enough=0.0)
    size = model.config.vocab_size
    assert reward.compute("anything", "at all") == pytest.approx(10 / (10 + size), rel=1e-5)


def test_coherence_cuts_the_prompt_first_and_counts(
    language_model: str, caplog: pytest.LogCaptureFixture
) -> None:
    reward = CoherenceReward(language_model, max_length=12)
    with caplog.at_level(logging.WARNING, "aligntune"):
        cut = reward.mean_log_probs(RewardBatch(["abcdef" * 4], ["x" * 30]))
    assert caplog.messages == [
        "reward 'coherence': 1 of 1 inputs are longer than 12 tokens and were cut"
    ]
    # The end of the prompt's template is all that is left of the prompt.
    whole = CoherenceReward(language_model, max_length=64)
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    ids = tokenizer("<|assistant|>" + ("abcdef" * 4)[:11])["input_ids"]
    assert len(ids) == 12
    with torch.no_grad():
        labels = torch.tensor([[-100, *ids[1:]]])
        loss = whole.loaded.model(input_ids=torch.tensor([ids]), labels=labels).loss
    assert cut == pytest.approx([-float(loss)], rel=1e-4)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"model": "no/such-model"}, r"'no/such-model', which cannot be loaded: .*\[models"),
        ({"model": "no/such-model"}, r"Set params\.model to a local folder"),
        ({"model": "./nowhere"}, r"there is no folder './nowhere'; set params\.model"),
        ({"model": ""}, "model is empty"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"device": "cuda"}, r"params\.device is 'cuda' and there is no GPU here"),
        ({"quantization": {"load_in_4bit": True}}, r"params\.quantization needs a GPU"),
        ({"dtype": "int8"}, "dtype is 'int8'; it is one of auto, float32"),
        ({"device": "0"}, "device is '0'; it is auto, cpu"),
        ({"device": "cuda:x"}, "device is 'cuda:x'; it is auto, cpu"),
        ({"batch_size": 0}, "batch_size is 0; it must be a whole number from 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5; it must be a whole number"),
        ({"max_length": 0}, "max_length is 0; it must be a whole number from 1"),
        ({"max_length": 17}, r"params\.max_length is 17, and '.*' reads 16 tokens at most"),
        ({"revision": "v2"}, "revision is 'v2', and model a local folder, which has none"),
        ({"inputs": "chat"}, r"has no chat template; set it to pair"),
        ({"inputs": "both"}, "inputs is 'both'; it is one of auto"),
        ({"modle": "x"}, r"has no parameter 'modle'; it takes batch_size, cache_dir"),
    ],
)
def test_what_is_refused_before_a_policy_loads(
    bag: Make, params: dict[str, Any], says: str
) -> None:
    given = RewardConfig(type="reward_model", params={"model": bag(), **params})
    with pytest.raises(ConfigError, match=says):
        build_scorer([given], plugins.get(), ["prompt"])


def test_a_folder_in_the_home_directory(
    bag: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "judge").symlink_to(bag())
    monkeypatch.setenv("HOME", str(tmp_path))
    RewardModelReward("~/judge").load()


def test_positions_of_roberta_begin_after_the_padding(bag: Make, tmp_path: Path) -> None:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(bag())
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(tmp_path)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1}
    config = RobertaConfig(
        vocab_size=len(tokenizer), num_hidden_layers=1, max_position_embeddings=20, num_labels=1,
        pad_token_id=tokenizer.pad_token_id, **sizes,
    )  # fmt: skip
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    reward = RewardModelReward(str(tmp_path), inputs="completion")
    assert reward.longest == 20 - config.pad_token_id - 1
    assert reward.compute("word " * 50) is not None


def test_a_label_named_twice_counts_once_and_all_are_refused(tmp_path: Path) -> None:
    from aligntune.testing import make_classifier

    folder = str(make_classifier(tmp_path, ["toxic", "ok"], {"fool": (1.0, 0.0)}))
    once = ToxicityReward(folder, unsafe="toxic").compute("You fool.")
    assert ToxicityReward(folder, unsafe=["toxic", 0]).compute("You fool.") == once
    with pytest.raises(ConfigError, match=r"labels of .* are 0 toxic, 1 ok; set params\.unsafe"):
        ToxicityReward(folder, unsafe=["toxic", "ok"]).load()


def test_a_folder_that_holds_no_classifier_is_refused(
    bag: Make, language_model: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"no trained classifier: it lacks score\.weight"):
        RewardModelReward(language_model).load()
    with pytest.raises(ConfigError, match=r"holds no model: config\.json is missing"):
        RewardModelReward(str(tmp_path)).load()
    with pytest.raises(ConfigError, match="needs the parameter 'model'"):
        as_reward(RewardModelReward, "reward_model")


def test_weights_in_use_are_shared_and_loading_draws_no_random_number(bag: Make) -> None:
    folder = bag()
    state = torch.get_rng_state()
    first, second = RewardModelReward(folder), HelpfulnessReward(folder)
    assert first.loaded is second.loaded
    assert RewardModelReward(folder, dtype="bfloat16").loaded is not first.loaded
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_are_held_in_the_dtype_that_is_set(bag: Make) -> None:
    folder, tokens = bag(), ["[CLS]", "good", "word", "bad", "[SEP]"]
    wanted = expected_logits(tokens)[0]
    found = {}
    for dtype in ("auto", "float32", "bfloat16", "float16"):
        reward = RewardModelReward(folder, dtype=dtype, inputs="completion")
        assert str(reward.loaded.model.dtype) == f"torch.{'float32' if dtype == 'auto' else dtype}"
        found[dtype] = reward.compute("good word bad")
    assert found["auto"] == found["float32"] == pytest.approx(wanted, abs=1e-5)
    assert found["bfloat16"] not in (found["float32"], found["float16"])
    assert found["bfloat16"] == pytest.approx(wanted, abs=0.1)


def test_toxicity_reads_all_of_a_long_text(tmp_path: Path) -> None:
    from aligntune.testing import make_classifier

    words = {"idiot": 1.0}
    folder = str(make_classifier(tmp_path, ["toxic"], words, bias=-1.0, scale=100.0))
    reward = ToxicityReward(folder)
    calm = "The garden is calm. " * 200
    clean = reward.compute(calm)
    assert clean == pytest.approx(1 - sigmoid(-1.0), abs=1e-3)
    for text in (f"Idiot! {calm}", f"{calm}Idiot!", f"{calm}Idiot! {calm}", "idiot" + " x" * 5000):
        assert reward.compute(text) < clean - 0.2  # type: ignore[operator]
    for text in ("You \u0456diot!", "You id\u200biot!", "You \uff49diot!"):
        assert reward.compute(text) == reward.compute("You idiot!")


MODEL_REWARDS = [
    "bias",
    "coherence",
    "formality",
    "harmful_content",
    "helpfulness",
    "reward_ensemble",
    "reward_model",
    "toxicity",
]
OTHERS = ["llm_judge", "privacy", "profanity", "refusal", "safety", "sentiment", "tone"]


@pytest.mark.parametrize("name", [*MODEL_REWARDS, *OTHERS])
def test_facts_of_the_manifest_are_those_of_the_class(name: str) -> None:
    entry = plugins.get().rewards.get(name)
    cls: Any = entry.load()
    assert (cls.name, cls.range, cls.cost) == (name, entry.facts.range, entry.facts.cost)
    assert (entry.facts.install == "aligntune-rewards[models]") == (name in MODEL_REWARDS)


def test_without_torch_the_extra_is_named() -> None:
    """A process that cannot import torch, as where only the rewards are installed."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from aligntune_rewards import HelpfulnessReward\n"
        "from aligntune.errors import UnavailableError\n"
        "try:\n    HelpfulnessReward('x').load()\n"
        "except UnavailableError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "reward 'helpfulness' uses a model and needs torch: "
        'pip install "aligntune-rewards[models]"\n'
    )
