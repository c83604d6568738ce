"""ORPO and SimPO: their losses against the formulas, scripts on TRL, what is refused or counted."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from aligntune.config import load_config
from aligntune.errors import ConfigError, DataError
from aligntune.plan import make_plan
from aligntune.testing import make_model, make_tokenizer, preference_rows, write_jsonl
from aligntune_trl.experimental import experimental

Make = Callable[..., Any]
Rows = list[dict[str, Any]]
PAIRS, STEPS = 6, 4
LORA: dict[str, Any] = {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj"]}

each = pytest.mark.parametrize("algorithm", ["orpo", "simpo"])


def pairs(count: int, **how: Any) -> Rows:
    """Sums, of which some are completions of more tokens than others."""
    rows = preference_rows(count, **how)
    for row in rows[::2]:
        if isinstance(row["chosen"], str):
            row["chosen"] += " is the sum"
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", pairs(24))
    write_jsonl(folder / "chat.jsonl", pairs(24, chat=True))
    write_jsonl(folder / "held.jsonl", pairs(6, seed=1))
    return folder


@pytest.fixture
def make(short_run: Make) -> Make:
    return short_run


def read(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines_of(run: Any) -> Rows:
    return [line for line in read(run.metrics) if "loss" in line]


# The losses


def of_tokens(model: Any, ids: list[int]) -> list[float]:
    """Log-probability of each token but the first."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return [float(logits[i - 1, ids[i]]) for i in range(1, len(ids))]


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def measured(make: Make, folder: Path, algorithm: str, **settings: Any) -> tuple[float, Rows]:
    """The loss of a batch of all pairs, and the log-probabilities of its tokens in float64."""
    trainer = make(algorithm, peft_enabled=False, **settings).setup()
    trainer.model.eval()
    rows = [trainer.train_dataset[i] for i in range(PAIRS)]
    with torch.no_grad():
        loss = float(trainer.compute_loss(trainer.model, trainer.data_collator(rows)))
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    found = []
    for row in rows:
        start = len(row["prompt_ids"]) - 1
        both = [of_tokens(model, row["prompt_ids"] + row[f"{n}_ids"]) for n in SIDES]
        found.append({"whole": both[0], "chosen": both[0][start:], "rejected": both[1][start:]})
    return loss, found


SIDES = ("chosen", "rejected")


def log_odds(tokens: list[float]) -> float:
    """Equation 4 of ORPO's paper, of the geometric mean of the tokens' probabilities."""
    p = math.exp(mean(tokens))
    return math.log(p / (1 - p))


def orpo(rows: Rows, weight: float, tokens: str) -> float:
    """Equations 6 and 7."""
    said = [value for row in rows for value in row[tokens]]
    ratios = [log_sigmoid(log_odds(row["chosen"]) - log_odds(row["rejected"])) for row in rows]
    return -mean(said) - weight * mean(ratios)


def simpo(rows: Rows, beta: float, gamma: float, wrong: float = 0.0) -> float:
    """Equation 6 of SimPO's paper; `wrong` is the share of labels that are the wrong way round."""
    x = [beta * (mean(row["chosen"]) - mean(row["rejected"])) - gamma for row in rows]
    return -mean([(1 - wrong) * log_sigmoid(v) + wrong * log_sigmoid(-v) for v in x])


CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("orpo", {}, lambda rows: orpo(rows, 0.1, "chosen")),
    ("orpo", {"beta": 2.0}, lambda rows: orpo(rows, 2.0, "chosen")),
    ("orpo", {"completion_only_loss": False}, lambda rows: orpo(rows, 0.1, "whole")),
    ("simpo", {}, lambda rows: simpo(rows, 2.0, 1.0)),
    ("simpo", {"beta": 2.5, "simpo_gamma": 0.3}, lambda rows: simpo(rows, 2.5, 0.3)),
    ("simpo", {"label_smoothing": 0.2}, lambda rows: simpo(rows, 2.0, 1.0, 0.2)),
]


@pytest.mark.parametrize(("algorithm", "settings", "formula"), CASES, ids=range(6))
def test_the_loss_is_the_formula(
    make: Make, folder: Path, algorithm: str, settings: dict[str, Any], formula: Any
) -> None:
    found, rows = measured(make, folder, algorithm, **settings)
    assert len({len(row["chosen"]) - len(row["rejected"]) for row in rows}) > 1
    assert found == pytest.approx(formula(rows), rel=1e-6)


def test_completions_that_are_certain_have_a_gradient(make: Make) -> None:
    trainer = make("orpo").setup()
    for certain in (0.0, -1e-9):
        chosen = torch.tensor([certain, -0.5], requires_grad=True)
        rejected = torch.tensor([-0.5, certain], requires_grad=True)
        loss, *_ = trainer.odds_ratio_loss(chosen, rejected)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(torch.cat([chosen.grad, rejected.grad])).all()


@each
def test_implicit_rewards_rank_pairs_as_the_metrics_do(
    make: Make, folder: Path, algorithm: str
) -> None:
    held = {"eval_datasets": [str(folder / "held.jsonl")], "rewards": ["length"]}
    more = {"dpo_eval_enabled": True, "dpo_few_shot_max_samples": 2, "max_new_tokens": 4}
    trainer = make(algorithm, **held, per_device_eval_batch_size=6, evaluation=more)
    run = trainer.train()
    found = trainer.evaluate()
    lines = {line["name"]: line["value"] for line in read(run.evaluation)}
    assert len(lines) == 6
    accuracy = found["eval_rewards/accuracies"]
    assert found["eval_dpo_zero_shot_accuracy"] == pytest.approx(accuracy)
    assert lines["dpo_zero_shot_margin"] == pytest.approx(found["eval_rewards/margins"], abs=1e-6)
    assert abs(lines["dpo_zero_shot_margin"]) > 1e-4


# Runs


COMPARED = ("loss", "grad_norm", "rewards/chosen", "rewards/rejected", "logps/chosen")


def by_step(lines: Rows) -> Rows:
    return [{n: line[n] for n in COMPARED if n in line} for line in lines if "loss" in line]


@pytest.mark.parametrize("kind", ["full", "chat", "lora"])
@each
def test_losses_are_those_of_a_hand_written_script(
    make: Make, folder: Path, tmp_path: Path, algorithm: str, kind: str
) -> None:
    adapter, rows = kind == "lora", "chat.jsonl" if kind == "chat" else "rows.jsonl"
    name = {"orpo": "ORPO", "simpo": "CPO"}[algorithm]
    module: Any = experimental(name.lower())
    own = {"beta": 0.5} if name == "ORPO" else {"beta": 2.0, "simpo_gamma": 0.3}
    asked = {"loss_type": "simpo", "cpo_alpha": 0.0} if name == "CPO" else {}
    raw = getattr(module, f"{name}Trainer")(
        model=str(folder / "model"),
        processing_class=make_tokenizer(),
        args=getattr(module, f"{name}Config")(
            output_dir=str(tmp_path / "raw"),
            model_init_kwargs={"dtype": "float32", "device_map": None},
            max_steps=STEPS,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            learning_rate=3e-3,
            weight_decay=0.01,
            optim="adamw_torch",
            lr_scheduler_type="cosine",
            max_length=64,
            gradient_checkpointing=False,
            remove_unused_columns=False,
            logging_steps=1,
            seed=7,
            data_seed=47,
            bf16=False,
            fp16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            **own,
            **asked,
        ),
        train_dataset=Dataset.from_json(str(folder / rows), cache_dir=str(tmp_path / "cache")),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=4, **LORA) if adapter else None,
    )
    raw.train()
    expected = by_step(raw.state.log_history)
    assert len({line["loss"] for line in expected}) == STEPS
    whole = {"completion_only_loss": False} if algorithm == "orpo" else {}
    run = make(
        algorithm,
        dataset_name=str(folder / rows),
        gradient_accumulation_steps=2,
        seed=7,
        peft_enabled=adapter,
        **own,
        **whole,
        **({"lora_rank": 4, **LORA} if adapter else {}),
    ).train()
    assert by_step(read(run.metrics)) == expected


@each
def test_a_run_that_stopped_goes_on_as_if_it_had_not(
    make: Make, tmp_path: Path, algorithm: str
) -> None:
    common = {"max_steps": 4, "save_interval": 2, "disable_dropout": False, "lora_dropout": 0.1}
    whole = make(algorithm, output_dir=str(tmp_path / "whole"), **common).train()
    parts = {"output_dir": str(tmp_path / "parts"), **common}
    make(algorithm, **parts, stop_after_steps=2).train()
    resumed = make(algorithm, **parts).train(resume=True)
    assert len(lines_of(whole)) == 4
    assert by_step(lines_of(resumed)) == by_step(lines_of(whole))


@each
def test_tokens_are_those_of_dpo(make: Make, tmp_path: Path, algorithm: str) -> None:
    """Also where the chat ends behind its last end of turn, and TRL would put another one."""
    template = make_tokenizer().chat_template + "{{ '\\n' if not add_generation_prompt }}"
    rows = preference_rows(8, chat=True)
    for row in rows:
        row["prompt"].insert(0, {"role": "system", "content": "add"})
    path = str(write_jsonl(tmp_path / "chat.jsonl", rows))
    given = {"dataset_name": path, "chat_template": template}
    ours = make(algorithm, **given).setup().train_dataset
    theirs = make("dpo", **given, output_dir=str(tmp_path / "dpo")).setup().train_dataset
    for name in ("prompt_ids", "chosen_ids", "rejected_ids"):
        assert ours[name][:] == theirs[name][:]
    assert ours["chosen_input_ids"][0] == ours["prompt_ids"][0] + ours["chosen_ids"][0]


# What is refused, left out and counted


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"force_use_ref_model": True}, "there is no reference"),
        ({"ref_model_init_kwargs": {"a": 1}}, "there is no reference"),
        ({"sync_ref_model": True, "peft_enabled": False}, "there is no reference"),
        ({"precompute_ref_log_probs": True}, "there is no reference"),
        ({"reference_free": False}, "there is no reference"),
        ({"loss_type": "ipo"}, "has one loss"),
        ({"truncation_mode": "keep_end"}, "cut at their end"),
        ({"remove_unused_columns": True}, "takes pairs as they are"),
        ({"beta": 0.0}, "does not compare"),
        ({"dpo_eval_enabled": True}, "there is no data to evaluate on"),
        ({"desirable_weight": 2.0}, "it belongs to KTO"),
    ],
)
@each
def test_what_cannot_be_is_refused_in_the_plan(
    algorithm: str, settings: dict[str, Any], says: str
) -> None:
    config = load_config({"model": "m", "dataset": "d", "algorithm": algorithm, **settings})
    with pytest.raises(ConfigError) as caught:
        make_plan(config)
    assert says in str(caught.value)


@pytest.mark.parametrize("missing", ["chosen", "rejected"])
@pytest.mark.parametrize("algorithm", ["dpo", "orpo", "simpo"])
def test_rows_without_a_side_are_refused_before_the_model_loads(
    make: Make, tmp_path: Path, algorithm: str, missing: str
) -> None:
    model = make_model(tmp_path / "model")
    (model / "model.safetensors").unlink()
    rows = [{name: row[name] for name in row if name != missing} for row in preference_rows(4)]
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    with pytest.raises(DataError) as caught:
        make(algorithm, model_name=str(model), dataset_name=path).train()
    assert missing in str(caught.value)
    assert "answer" in str(caught.value), "what columns there are"


@each
def test_what_is_left_out_and_cut_is_counted(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, algorithm: str
) -> None:
    rows = [
        {"prompt": "ab", "chosen": "cd", "rejected": "ce"},
        {"prompt": "ab", "chosen": "the same, and more", "rejected": "the same, but less"},
        {"prompt": "a prompt of many tokens", "chosen": "c", "rejected": "d"},
    ] * 4
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    settings = {"max_prompt_length": 5, "max_target_length": 6, "max_seq_length": 4}
    with caplog.at_level(logging.WARNING, logger="aligntune"):
        trainer = make(algorithm, dataset_name=path, **settings)
        kept = trainer.setup().train_dataset
    said = [record.getMessage() for record in caplog.records if record.name == "aligntune"]
    assert said == [
        "left out 4 of 12 prompts that are longer than 3 tokens",
        "cut 8 of 16 completions to 6 tokens (`train.max_target_length`)",
        (
            "of 4 of 8 pairs nothing in which chosen and rejected differ fits into 4 tokens: "
            "they are left out"
        ),
    ]
    assert len(kept) == 4
    assert max(map(len, kept["chosen_input_ids"])) == 4
    assert trainer._too_long() == 8


@each
def test_a_pair_of_which_no_difference_is_left_is_not_trained_on(
    make: Make, tmp_path: Path, algorithm: str
) -> None:
    same = "0123456789"
    rows = [{"prompt": "ab", "chosen": same + "c", "rejected": same}]
    path = str(write_jsonl(tmp_path / "rows.jsonl", rows))
    with pytest.raises(DataError, match="of 1 of 1 pairs nothing in which"):
        make(algorithm, dataset_name=path, max_seq_length=8).setup()
    assert len(make(algorithm, dataset_name=path, max_seq_length=None).setup().train_dataset) == 1


def test_that_it_is_experimental_is_said(
    make: Make, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    with caplog.at_level(logging.INFO, logger="aligntune"):
        make("simpo").setup()
    said = "trl.experimental.cpo is experimental in TRL: releases may change it"
    assert [line for line in caplog.messages if "experimental" in line] == [said]
    assert not any("trl.experimental" in str(warning.message) for warning in recwarn)
