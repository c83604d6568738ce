"""DPO runs: what is refused, left out and counted; the reference; what a run leaves behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.config import load_config
from aligntune.errors import ConfigError, DataError, RewardError
from aligntune.plan import make_plan
from aligntune.testing import (
    addition_rows,
    make_model,
    make_tokenizer,
    preference_rows,
    write_jsonl,
)

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dpo")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", preference_rows(24))
    write_jsonl(folder / "held.jsonl", preference_rows(6, seed=1))
    return folder


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Make:
    """Make the trainer of a DPO run that takes a second; settings replace its own."""

    def with_settings(**settings: Any) -> Any:
        given: dict[str, Any] = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "algorithm": "dpo",
            "backend": "trl",
            "output_dir": str(tmp_path / "run"),
            "max_steps": 3,
            "batch_size": 4,
            "learning_rate": 3e-3,
            "max_seq_length": 64,
            "max_completion_length": 4,
            "logging_steps": 1,
            "precision": "fp32",
            "loggers": "none",
        }
        return create_rl_trainer(**{**given, **settings})

    return with_settings


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(run: Any) -> list[float]:
    return [line["loss"] for line in read(run.metrics) if "loss" in line]


EVALUATED = {"eval_datasets": ["e"]}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss_type": "kto"}, "'kto' learns from single completions"),
        ({"loss_type": "kto_pair"}, "'kto_pair' learns from single completions"),
        ({"loss_type": "sigmoyd"}, "did you mean 'sigmoid'"),
        ({"loss_type": ["ipo", "ipo"]}, "one of them is there twice"),
        ({"loss_type": ["ipo", "sft"], "loss_weights": [1.0]}, "1 weights for 2 losses"),
        ({"loss_type": "ipo", "loss_weights": {"sft": 1.0}}, "weights for sft"),
        ({"loss_type": ["sigmoid", "sft"], "rpo_alpha": 1.0}, "the loss sft is given too"),
        ({"loss_weights": [2.0], "rpo_alpha": 1.0}, "`train.loss_weights` is given too"),
        ({"loss_type": "ipo", "label_smoothing": 0.1}, "ipo would not use it"),
        ({"loss_type": "exo_pair"}, "not defined without label smoothing"),
        ({"discopop_tau": 0.1}, "only by the loss discopop"),
        ({"f_divergence_type": "kl"}, "'kl' is no divergence"),
        ({"loss_type": "apo_zero", "f_divergence_type": "forward_kl"}, "apo_zero is no such"),
        ({"f_alpha_divergence_coef": 0.5}, "`train.f_divergence_type` is alpha_divergence"),
        ({"loss_type": "aot", "use_weighting": True}, "aot sorts the batch"),
        ({"beta": 0.0}, "does not depend on the policy"),
        ({"reference_free": True, "precompute_ref_log_probs": True}, "there is no reference"),
        ({"reference_free": True, "force_use_ref_model": True}, "there is no reference"),
        ({"sync_ref_model": True}, "train.sync_ref_model"),
        (
            {"sync_ref_model": True, "precompute_ref_log_probs": True, "peft_enabled": False},
            "those of a reference that stays",
        ),
        ({"ref_model_sync_steps": 5}, "only when `train.sync_ref_model` is true"),
        ({"precompute_ref_batch_size": 5}, "only when `train.precompute_ref_log_probs` is true"),
        ({"dpo_eval_enabled": True}, "there is no data to evaluate on"),
        (
            {
                "dpo_eval_enabled": True,
                "precompute_ref_log_probs": True,
                "peft_enabled": False,
                **EVALUATED,
            },
            "no reference is kept",
        ),
        ({"dpo_few_shot_max_samples": 3}, "only when `evaluation.dpo_eval_enabled` is true"),
        ({"padding_free": True}, "ignores it"),
        ({"group_by_length": True}, "a pair's length"),
        ({"label_pad_token_id": 0}, "-100"),
        ({"ref_adapter_name": "other"}, "that model without the adapter"),
    ],
)
def test_what_cannot_be_is_refused_in_the_plan(settings: dict[str, Any], says: str) -> None:
    config = load_config({"model": "m", "dataset": "d", "algorithm": "dpo", **settings})
    with pytest.raises(ConfigError) as caught:
        make_plan(config)
    assert says in str(caught.value)


def broken(text: str, **columns: Any) -> float:
    raise RuntimeError("no score today")


REFUSED_DATA: list[tuple[Any, dict[str, Any], str]] = [
    ([{"prompt": "1+1=", "chosen": "2"}], {}, "rejected"),
    ([{"prompt": "1+1=", "rejected": "2"}], {}, "chosen"),
    (preference_rows(4), {"max_prompt_length": 3}, "all 4 prompts are longer than 3 tokens"),
    (
        [{"prompt": "1+1=", "chosen": "2", "rejected": "3"}],
        {"rewards": ["exact_match"]},
        "exact_match",
    ),
    (
        preference_rows(4),
        {"rewards": [{"type": "custom", "params": {"reward_function": broken}}]},
        "no score today",
    ),
    (
        preference_rows(4),
        {"dpo_eval_enabled": True, "dpo_few_shot_examples_text": "x" * 99},
        "raise `model.max_seq_length`",
    ),
]


@pytest.mark.parametrize(("rows", "settings", "says"), REFUSED_DATA, ids=range(6))
def test_data_that_cannot_be_trained_on_are_refused_before_the_model_loads(
    make: Make, tmp_path: Path, rows: Any, settings: dict[str, Any], says: str
) -> None:
    model = make_model(tmp_path / "model")
    (model / "model.safetensors").unlink()
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    evaluated = {"eval_datasets": [path]} if "dpo_eval_enabled" in settings else {}
    with pytest.raises((DataError, RewardError)) as caught:
        make(model_name=str(model), dataset_name=path, **evaluated, **settings).train()
    assert says in str(caught.value)


def test_what_is_left_out_and_cut_is_counted(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"prompt": "ab", "chosen": "cd", "rejected": "ce"},
        {"prompt": "ab", "chosen": "the same, and more", "rejected": "the same, but less"},
        {"prompt": "a prompt of many tokens", "chosen": "c", "rejected": "d"},
    ] * 4
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    with caplog.at_level(logging.WARNING, logger="aligntune"):
        trainer = make(dataset_name=path, max_prompt_length=5, max_target_length=6).setup()
    said = [record.getMessage() for record in caplog.records if record.name == "aligntune"]
    assert said == [
        "left out 4 of 12 prompts that are longer than 5 tokens",
        "cut 8 of 16 completions to 6 tokens (`train.max_target_length`)",
        (
            "of 4 of 8 pairs nothing in which chosen and rejected differ fits into 64 tokens: "
            "they are left out"
        ),
    ]
    assert len(trainer.train_dataset) == 4
    assert max(map(len, trainer.train_dataset["chosen_ids"])) == 3  # "cd" and its end


@pytest.mark.parametrize("end", ["keep_start", "keep_end"])
def test_a_pair_of_which_no_difference_is_left_is_not_trained_on(
    make: Make, tmp_path: Path, end: str
) -> None:
    same = "0123456789"
    rows = [{"prompt": "ab", "chosen": "c" + same, "rejected": same}]
    if end == "keep_start":
        rows = [{"prompt": "ab", "chosen": same + "c", "rejected": same}]
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    with pytest.raises(DataError, match="of 1 of 1 pairs nothing in which"):
        make(dataset_name=path, truncation_mode=end, max_seq_length=8).setup()
    assert len(make(dataset_name=path, truncation_mode=end).setup().train_dataset) == 1


def test_prompts_implied_by_conversations_are_trained_on(make: Make, tmp_path: Path) -> None:
    shared = "\n\nHuman: 1+1?\n\nAssistant:"
    rows = [{"chosen": f"{shared} {n}", "rejected": f"{shared} {n + 1}"} for n in range(8)]
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    trainer = make(dataset_name=path)
    assert len(losses(trainer.train())) == 3
    assert trainer.data.rows[0]["prompt"] == shared


def test_a_reference_is_loaded_where_it_is_asked_for(make: Make) -> None:
    assert make().setup().ref_model is None
    assert make(force_use_ref_model=True).setup().ref_model is not None
    eager = make(ref_model_init_kwargs={"attn_implementation": "eager"}).setup()
    assert eager.ref_model.config._attn_implementation == "eager"
    assert make(peft_enabled=False, reference_free=True).setup().ref_model is None


def test_a_reference_of_its_own_gives_the_numbers_of_the_adapter_switched_off(
    make: Make, tmp_path: Path
) -> None:
    first = losses(make(output_dir=str(tmp_path / "a")).train())
    second = losses(make(output_dir=str(tmp_path / "b"), force_use_ref_model=True).train())
    assert first == second


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another architecture: biases, other names of modules, no chat template, no padding."""
    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = make_tokenizer()
    tokenizer.chat_template = tokenizer.pad_token = None
    end = tokenizer.eos_token_id
    sizes: dict[str, Any] = {"n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 2}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_biases_that_train_do_not_move_the_reference(make: Make, gpt2: str) -> None:
    trainer = make(model_name=gpt2, bias="lora_only", learning_rate=0.1, force_use_ref_model=False)
    trl = trainer.setup()
    batch = trl.data_collator([trl.train_dataset[i] for i in range(4)])
    before = trl._reference(batch)
    trainer.train()
    assert torch.equal(trainer.trainer._reference(batch), before)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_adapter_sits_where_the_architecture_has_its_attention(
    make: Make, gpt2: str, precision: str
) -> None:
    run = make(model_name=gpt2, precision=precision).train()
    assert len(losses(run)) == 3
    saved = json.loads((run.model / "adapter_config.json").read_text())
    assert saved["target_modules"] == ["c_attn"]


def test_what_was_computed_for_another_run_is_not_taken_for_this_one(
    make: Make, tmp_path: Path
) -> None:
    rows = [{"prompt": f"{n}:", "chosen": "a long answer", "rejected": "no"} for n in range(4)]
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    computed = {"dataset_name": path, "precompute_ref_log_probs": True, "peft_enabled": False}
    make(**computed).setup()
    other = make(**computed, ld_alpha=0.0).setup()
    batch = other.data_collator([other.train_dataset[i] for i in range(4)])
    again, _ = other.compute_ref_log_probs(other.model, batch)
    assert batch["ref_chosen_logps"].tolist() == pytest.approx(again.tolist(), abs=1e-5)


def test_a_run_starts_from_the_checkpoint_of_another(
    make: Make, folder: Path, tmp_path: Path
) -> None:
    rows = str(write_jsonl(tmp_path / "sums.jsonl", addition_rows(16)))
    sft: Any = create_sft_trainer(
        model_name=str(folder / "model"),
        dataset_name=rows,
        backend="trl",
        output_dir=str(tmp_path / "sft"),
        max_steps=2,
        learning_rate=1e-2,
        precision="fp32",
        loggers="none",
    )
    run = sft.train()
    trainer = make(sft_path=str(run.model), peft_enabled=False).setup()
    taught = sft.trainer.model.state_dict()
    for model in (trainer.model, trainer.ref_model):
        assert all(torch.equal(taught[name], w) for name, w in model.state_dict().items())
    untaught = make(peft_enabled=False).setup().model.state_dict()
    assert not all(torch.equal(taught[name], w) for name, w in untaught.items())


def test_what_it_says_afterwards_is_written_with_rewards(make: Make, folder: Path) -> None:
    run = make(rewards=["length"], eval_datasets=[str(folder / "held.jsonl")]).train()
    samples = read(run.samples)
    assert [line["prompt"] for line in samples] == [
        row["prompt"] for row in preference_rows(6, seed=1)[:3]
    ]
    assert {line["step"] for line in samples} == {3}
    assert all(line["reward"] == line["rewards"]["length"] for line in samples)


def test_generation_settings_are_those_of_what_it_says_afterwards(
    make: Make, tmp_path: Path
) -> None:
    def said(name: str, **settings: Any) -> list[str]:
        run = make(output_dir=str(tmp_path / name), max_steps=1, **settings).train()
        return [line["completion"] for line in read(run.samples)]

    first = said("first")
    assert said("again") == first
    assert said("hot", temperature=3.0) != first
    assert said("nucleus", top_p=0.01) != first
    assert said("likeliest", top_k=1) != first
    assert [len(text) for text in said("short", max_completion_length=2)] < [3, 3, 3]


def test_thinking_is_what_the_chat_template_is_told(make: Make, tmp_path: Path) -> None:
    rows = str(write_jsonl(tmp_path / "chat.jsonl", preference_rows(8, chat=True)))
    template = make_tokenizer().chat_template + "{% if enable_thinking %}thinking{% endif %}"
    said = []
    for thinks in (False, True):
        trainer = make(dataset_name=rows, chat_template=template, enable_thinking=thinks, top_k=1)
        said.append([line["completion"] for line in read(trainer.train(overwrite=True).samples)])
    assert said[0] != said[1]


def test_the_preference_evaluation_measures_what_trl_measures(make: Make, folder: Path) -> None:
    held = {"eval_datasets": [str(folder / "held.jsonl")], "rewards": ["length"]}
    few = {"dpo_eval_enabled": True, "dpo_few_shot_max_samples": 2, "max_new_tokens": 4}
    trainer = make(**held, evaluation={"before_training": True, **few})
    run = trainer.train()
    lines = {(line["when"], line["name"]): line for line in read(run.evaluation)}
    assert {name for _, name in lines} == {
        f"dpo_{setting}_{what}"
        for setting in ("zero_shot", "few_shot")
        for what in ("accuracy", "margin", "reward")
    }
    assert {line["n"] for line in lines.values() if "zero" in line["name"]} == {6}
    assert {line["n"] for line in lines.values() if "few" in line["name"]} == {2}
    assert lines["before", "dpo_zero_shot_margin"]["value"] == pytest.approx(0, abs=1e-6)
    found = trainer.evaluate()
    after = lines["after", "dpo_zero_shot_margin"]["value"]
    assert abs(after) > 1e-4
    assert after == pytest.approx(found["eval_rewards/margins"], abs=1e-6)
    assert found["eval_dpo_zero_shot_margin"] == after
    assert found["eval_dpo_zero_shot_accuracy"] == found["eval_rewards/accuracies"]


def test_prompts_stand_behind_examples(make: Make, folder: Path, tmp_path: Path) -> None:
    held = {"eval_datasets": [str(folder / "held.jsonl")], "max_seq_length": 128}
    first, second = preference_rows(24)[:2]
    asked = preference_rows(6, seed=1)[0]["prompt"]
    trainer = make(**held, dpo_eval_enabled=True, dpo_eval_max_samples=1)
    trainer.setup()
    fewer = make(**held, dpo_eval_enabled=True, dpo_zero_shot_max_samples=2)
    fewer.setup()
    assert {name: len(rows) for name, rows in fewer.preferences.settings.items()} == {
        "zero_shot": 2,
        "few_shot": 6,
    }
    pairs = f"{first['prompt']}{first['chosen']}\n\n{second['prompt']}{second['chosen']}"
    assert trainer.preferences.settings["zero_shot"]["prompt"][:] == [asked]
    assert trainer.preferences.settings["few_shot"]["prompt"][:] == [f"{pairs}\n\n{asked}"]
    told = make(**held, dpo_eval_enabled=True, dpo_few_shot_examples_text="1+1=2")
    told.setup()
    assert told.preferences.settings["few_shot"]["prompt"][0] == f"1+1=2\n\n{asked}"


def test_chats_stand_behind_examples_as_turns(make: Make, tmp_path: Path) -> None:
    rows = preference_rows(4, chat=True)
    for row in rows:
        row["prompt"].insert(0, {"role": "system", "content": "add"})
    path = str(write_jsonl(tmp_path / "chat.jsonl", rows))
    given = {"dataset_name": path, "eval_datasets": [path], "dpo_eval_enabled": True}
    trainer = make(**given, max_seq_length=128)
    trainer.setup()
    turns = trainer.preferences.settings["few_shot"][3]["prompt"]
    assert [turn["role"] for turn in turns] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert turns[1] == rows[0]["prompt"][1]
    assert turns[2] == rows[0]["chosen"][0]
    told = make(**given, max_seq_length=128, dpo_few_shot_examples_text="1+1=2")
    told.setup()
    turns = told.preferences.settings["few_shot"][3]["prompt"]
    assert [turn["role"] for turn in turns] == ["system", "user"]
    assert turns[1]["content"] == f"1+1=2\n\n{rows[3]['prompt'][1]['content']}"


def test_measuring_and_sampling_leave_training_as_it_is(
    make: Make, folder: Path, tmp_path: Path
) -> None:
    dropout = {"disable_dropout": False, "lora_dropout": 0.5}  # training draws random numbers
    plain = make(output_dir=str(tmp_path / "plain"), **dropout).train()
    watched = make(
        output_dir=str(tmp_path / "watched"),
        eval_datasets=[str(folder / "held.jsonl")],
        evaluation={"before_training": True, "dpo_eval_enabled": True, "temperature": 1.0,
                    "max_new_tokens": 4},
        **dropout,
    ).train()  # fmt: skip
    assert losses(watched) == losses(plain)


def test_a_run_that_stopped_goes_on_as_if_it_had_not(make: Make, tmp_path: Path) -> None:
    common = {"max_steps": 4, "save_interval": 2, "disable_dropout": False, "lora_dropout": 0.1}
    whole = make(output_dir=str(tmp_path / "whole"), **common).train()
    parts = {"output_dir": str(tmp_path / "parts"), **common}
    make(**parts, stop_after_steps=2).train()
    resumed = make(**parts).train(resume=True)
    assert len(losses(whole)) == 4
    assert losses(resumed) == losses(whole)


def test_a_reference_that_follows_the_policy_is_where_it_was_when_a_run_resumes(
    make: Make, tmp_path: Path
) -> None:
    common = {"max_steps": 4, "save_interval": 2, "learning_rate": 1e-2, "peft_enabled": False}
    common |= {"sync_ref_model": True, "ref_model_sync_steps": 2}
    whole = make(output_dir=str(tmp_path / "whole"), **common).train()
    parts = {"output_dir": str(tmp_path / "parts"), **common}
    make(**parts, stop_after_steps=2).train()
    assert losses(make(**parts).train(resume=True)) == losses(whole)
