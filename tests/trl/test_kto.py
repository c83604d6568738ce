"""KTO: its loss against the formula; a script on TRL; what is split, refused and counted."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from aligntune.config import load_config
from aligntune.errors import ConfigError, DataError
from aligntune.plan import make_plan
from aligntune.testing import make_model, preference_rows, write_jsonl

Make = Callable[..., Any]
Rows = list[dict[str, Any]]
BETA, STEPS = 0.3, 4
# Of what moves the policy: with one the mean of lent log-ratios is above 0, with the other below.
SEEDS = [(1, 1), (0, -1)]
LORA: dict[str, Any] = {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj"]}


def judgements(count: int, **how: Any) -> Rows:
    """Sums that are right, and sums that are not, of different lengths."""
    rows = []
    for number, pair in enumerate(preference_rows(count, **how)):
        good = number % 3 != 0
        said = pair["chosen"] if good else pair["rejected"]
        if number % 2 and isinstance(said, str):
            said += " is the sum"
        rows.append({"prompt": pair["prompt"], "completion": said, "label": good})
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kto")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", judgements(24))
    write_jsonl(folder / "chat.jsonl", judgements(24, chat=True))
    write_jsonl(folder / "held.jsonl", judgements(6, seed=1))
    write_jsonl(folder / "pairs.jsonl", preference_rows(12))
    return folder


@pytest.fixture
def make(short_run: Make) -> Make:
    return partial(short_run, "kto")


def read(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines_of(run: Any) -> Rows:
    return [line for line in read(run.metrics) if "loss" in line]


# The loss


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def log_probability(model: Any, prompt: list[int], said: list[int]) -> float:
    ids = torch.tensor([prompt + said])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0].log_softmax(-1)
    places = range(len(prompt), len(prompt) + len(said))
    return math.fsum(float(logits[i - 1, ids[0, i]]) for i in places)


def ratio(row: dict[str, Any], said: list[int], policy: Any, reference: Any) -> float:
    both = [log_probability(model, row["prompt_ids"], said) for model in (policy, reference)]
    return both[0] - both[1]


def kto(rows: Rows, policy: Any, reference: Any, good: float, bad: float) -> tuple[float, float]:
    """Section 4.1 of the paper: the loss of a batch, and its baseline before that is clamped."""
    models = policy, reference
    # Each prompt with the completion of the row before, and the first one with that of the last.
    lent = [ratio(row, rows[i - 1]["completion_ids"], *models) for i, row in enumerate(rows)]
    mean = math.fsum(lent) / len(rows)
    z = max(0.0, mean)
    found = []
    for row in rows:
        r = ratio(row, row["completion_ids"], *models)
        weight = good if row["label"] else bad
        value = sigmoid(BETA * (r - z)) if row["label"] else sigmoid(BETA * (z - r))
        found.append(weight * (1 - value))
    return math.fsum(found) / len(rows), mean


def moved(trainer: Any, seed: int) -> Any:
    """The policy is no longer the reference."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    trainer.model.eval()
    return trainer


@pytest.mark.parametrize(("seed", "sign"), SEEDS)
def test_the_loss_is_the_formula(make: Make, folder: Path, seed: int, sign: int) -> None:
    weights = {"desirable_weight": 1.5, "undesirable_weight": 0.5}
    trainer = moved(make(peft_enabled=False, beta=BETA, batch_size=6, **weights).setup(), seed)
    rows = [trainer.train_dataset[i] for i in range(6)]
    with torch.no_grad():
        found = float(trainer.compute_loss(trainer.model, trainer.data_collator(rows)))
    policy = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    policy.load_state_dict(trainer.model.state_dict())
    reference = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    expected, mean = kto(rows, policy, reference, 1.5, 0.5)
    assert mean * sign > 0, "the baseline is to be clamped in one case, and not in the other"
    assert found == pytest.approx(expected, rel=1e-6)
    (logged,) = trainer._metrics["eval"]["kl"]
    assert logged == pytest.approx(max(0.0, mean), rel=1e-5)


def test_the_unpaired_loss_of_apo_has_no_baseline(make: Make, folder: Path) -> None:
    settings = {"loss_type": "apo_zero_unpaired", "peft_enabled": False, "beta": BETA}
    trainer = moved(make(**settings, batch_size=1).setup(), 0)
    rows = [trainer.train_dataset[i] for i in range(6)]
    assert "KL_completion_ids" not in rows[0]
    with torch.no_grad():
        found = float(trainer.compute_loss(trainer.model, trainer.data_collator(rows)))
    policy = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    policy.load_state_dict(trainer.model.state_dict())
    reference = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    signs = [1 if row["label"] else -1 for row in rows]
    ratios = [ratio(row, row["completion_ids"], policy, reference) for row in rows]
    expected = [1 - sigmoid(BETA * s * r) for s, r in zip(signs, ratios, strict=True)]
    assert found == pytest.approx(sum(expected) / 6, rel=1e-6)


@pytest.mark.parametrize("count", [9, 12])
def test_no_prompt_is_lent_its_own_completion(make: Make, tmp_path: Path, count: int) -> None:
    rows = [{"prompt": f"{n}:", "completion": f"a{n}", "label": n % 2 == 0} for n in range(count)]
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    trainer = make(dataset_name=path, max_target_length=1).setup()
    kept = [trainer.train_dataset[i] for i in range(count)]
    assert all(len(row["KL_completion_ids"]) == 1 for row in kept)
    trainer = make(dataset_name=path).setup()
    kept = [trainer.train_dataset[i] for i in range(count)]
    assert all(row["KL_completion_ids"] != row["completion_ids"] for row in kept)
    # Whatever was said in a batch is lent in that batch, but for a last row that has it alone.
    for start in range(0, count - 1, 4):
        some = kept[start : start + 4]
        if len(some) > 1:
            lent = sorted(row["KL_completion_ids"] for row in some)
            assert lent == sorted(row["completion_ids"] for row in some)


# Runs


COMPARED = ("loss", "grad_norm", "kl", "rewards/chosen", "rewards/rejected", "logps/chosen")


def by_step(lines: Rows) -> Rows:
    return [{n: line[n] for n in COMPARED if n in line} for line in lines if "loss" in line]


@pytest.mark.parametrize("rows", ["rows.jsonl", "chat.jsonl"])
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_kto_has_the_losses_of_a_hand_written_script(
    make: Make, folder: Path, tmp_path: Path, adapter: bool, rows: str
) -> None:
    data = Dataset.from_json(str(folder / rows), cache_dir=str(tmp_path / "cache"))
    raw = trl.KTOTrainer(
        model=str(folder / "model"),
        args=trl.KTOConfig(
            output_dir=str(tmp_path / "raw"),
            model_init_kwargs={"dtype": "float32"},
            max_steps=STEPS,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            learning_rate=3e-3,
            weight_decay=0.01,
            optim="adamw_torch",
            lr_scheduler_type="cosine",
            max_length=64,
            beta=BETA,
            undesirable_weight=1.3,
            gradient_checkpointing=False,
            logging_steps=1,
            seed=7,
            bf16=False,
            fp16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
        ),
        train_dataset=data.shuffle(seed=47),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=4, **LORA) if adapter else None,
    )
    raw.train()
    expected = by_step(raw.state.log_history)
    assert len({line["loss"] for line in expected}) == STEPS
    run = make(
        dataset_name=str(folder / rows),
        gradient_accumulation_steps=2,
        beta=BETA,
        undesirable_weight=1.3,
        seed=7,
        peft_enabled=adapter,
        **({"lora_rank": 4, **LORA} if adapter else {}),
    ).train()
    assert by_step(read(run.metrics)) == expected


def test_a_reference_may_be_its_own_or_computed_beforehand(make: Make, tmp_path: Path) -> None:
    first = by_step(lines_of(make(output_dir=str(tmp_path / "a")).train()))
    own = make(output_dir=str(tmp_path / "b"), force_use_ref_model=True)
    assert own.setup().ref_model is not None
    assert by_step(lines_of(own.train())) == first
    full = {"peft_enabled": False}
    third = by_step(lines_of(make(output_dir=str(tmp_path / "c"), **full).train()))
    before = make(output_dir=str(tmp_path / "d"), precompute_ref_log_probs=True, **full).train()
    for line, other in zip(by_step(lines_of(before)), third, strict=True):
        assert line == pytest.approx(other, rel=1e-5, abs=1e-6)


def test_a_reference_follows_the_policy(make: Make, tmp_path: Path) -> None:
    settings = {"sync_ref_model": True, "ref_model_sync_steps": 1, "ref_model_mixup_alpha": 1.0}
    lines = lines_of(make(peft_enabled=False, **settings).train())
    assert [line["kl"] for line in lines] == [0.0] * STEPS


def test_pairs_are_split_into_judgements(make: Make, folder: Path) -> None:
    trainer = make(dataset_name=str(folder / "pairs.jsonl"))
    run = trainer.train()
    assert len(lines_of(run)) == STEPS
    assert sorted(trainer.data.rows["label"]) == [False] * 12 + [True] * 12
    right = {(row["prompt"], row["chosen"]) for row in preference_rows(12)}
    good = {(r["prompt"], r["completion"]) for r in trainer.data.rows if r["label"]}
    assert good == right
    assert json.loads(run.data.read_text())["too_long"] == 0
    assert len({line["label"] for line in trainer.data.rows.select(range(4))}) == 2


def test_the_order_is_that_of_the_seed(make: Make, tmp_path: Path) -> None:
    def order(name: str, **settings: Any) -> list[str]:
        trainer = make(output_dir=str(tmp_path / name), **settings)
        trainer.setup()
        return list(trainer.data.rows["prompt"])

    assert order("a") == order("b")
    assert order("a") != order("c", data_seed=1)


DROPPED = {"disable_dropout": False, "lora_dropout": 0.1}
MOVING = {"peft_enabled": False, "sync_ref_model": True, "ref_model_sync_steps": 2}


@pytest.mark.parametrize("settings", [DROPPED, MOVING], ids=["dropout", "moving reference"])
def test_a_run_that_stopped_goes_on_as_if_it_had_not(
    make: Make, tmp_path: Path, settings: dict[str, Any]
) -> None:
    common = {"max_steps": 8, "save_interval": 2, "learning_rate": 1e-2, **settings}
    whole = make(output_dir=str(tmp_path / "whole"), **common).train()
    parts = {"output_dir": str(tmp_path / "parts"), **common}
    make(**parts, stop_after_steps=2).train()
    resumed = make(**parts).train(resume=True)
    assert len(lines_of(whole)) == 8
    assert by_step(lines_of(resumed)) == by_step(lines_of(whole))


def test_what_it_says_afterwards_is_written_with_rewards(make: Make, folder: Path) -> None:
    held = str(folder / "held.jsonl")
    run = make(rewards=["length"], eval_datasets=[held]).train()
    samples = read(run.samples)
    assert [line["prompt"] for line in samples] == [r["prompt"] for r in judgements(6, seed=1)[:3]]
    assert all(line["reward"] == line["rewards"]["length"] for line in samples)


def test_margins_are_measured_where_batches_hold_one_kind(make: Make, folder: Path) -> None:
    run = make(eval_datasets=[str(folder / "held.jsonl")], eval_strategy="epoch").train()
    (line,) = [line for line in read(run.metrics) if "eval_loss" in line]
    means = line["eval_rewards/chosen"], line["eval_rewards/rejected"]
    assert line["eval_rewards/margins"] == pytest.approx(means[0] - means[1])


# What is refused, left out and counted


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch_size": 1}, "the completion of another prompt in the batch"),
        ({"beta": 0.0}, "does not depend on the policy"),
        ({"desirable_weight": 0.0, "undesirable_weight": 0.0}, "there is no loss"),
        ({"loss_type": "sigmoid"}, "'sigmoid' is no loss of this algorithm"),
        ({"label_smoothing": 0.1}, "it belongs to"),
        ({"truncation_mode": "keep_end"}, "cuts at the end"),
        ({"group_by_length": True}, "lends each prompt"),
        ({"dpo_eval_enabled": True, "eval_datasets": ["e"]}, "a row here has one"),
        ({"sync_ref_model": True}, "train.sync_ref_model"),
        (
            {"sync_ref_model": True, "precompute_ref_log_probs": True, "peft_enabled": False},
            "those of a reference that stays",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_the_plan(settings: dict[str, Any], says: str) -> None:
    config = load_config({"model": "m", "dataset": "d", "algorithm": "kto", **settings})
    with pytest.raises(ConfigError) as caught:
        make_plan(config)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "settings", "says"),
    [
        ([{"prompt": "1+1=", "completion": "2"}], {}, "label"),
        ([{"prompt": "1+1=", "completion": "2", "label": "good"}], {}, "expected true or false"),
        ([{"prompt": "1+1=", "chosen": "2"}], {}, "rejected"),
        ([{**row, "label": True} for row in judgements(4)], {}, "every label is true"),
        ([{**row, "label": 0} for row in judgements(4)], {}, "every label is false"),
        (judgements(4), {"max_prompt_length": 3}, "all 4 prompts are longer than 3 tokens"),
    ],
    ids=range(6),
)
def test_rows_that_cannot_be_trained_on_are_refused_before_the_model_loads(
    make: Make, tmp_path: Path, rows: Any, settings: dict[str, Any], says: str
) -> None:
    model = make_model(tmp_path / "model")
    (model / "model.safetensors").unlink()
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    with pytest.raises(DataError) as caught:
        make(model_name=str(model), dataset_name=path, **settings).train()
    assert says in str(caught.value)


def test_what_is_left_out_and_cut_is_counted(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"prompt": "ab", "completion": "cd", "label": True},
        {"prompt": "ab", "completion": "more than that", "label": False},
        {"prompt": "a prompt of many tokens", "completion": "c", "label": True},
        {"prompt": "abcd", "completion": "123456", "label": True},
    ] * 3
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    settings = {"max_prompt_length": 5, "max_target_length": 7, "max_seq_length": 10}
    with caplog.at_level(logging.WARNING, logger="aligntune"):
        trainer = make(dataset_name=path, **settings)
        trainer.setup()
    said = [record.getMessage() for record in caplog.records if record.name == "aligntune"]
    assert said == [
        "left out 3 of 12 prompts that are longer than 5 tokens",
        "cut 3 of 9 completions to 7 tokens (`train.max_target_length`)",
        (
            "cut 3 of 9 completions at their end, where they and their prompts reach 10 tokens "
            "(`model.max_seq_length`)"
        ),
    ]
    assert trainer._too_long() == 3
