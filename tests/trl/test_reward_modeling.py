"""Reward modelling on TRL: a hand-written script's numbers, resumed, saved, read, and refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from aligntune import RewardBatch, create_rl_trainer
from aligntune.errors import ConfigError, DataError
from aligntune.testing import make_model, preference_rows, write_jsonl
from aligntune_rewards import RewardModelReward
from aligntune_trl.lora.merge import merge
from aligntune_trl.reward_modeling.trainer import RewardModelTrainer

STEPS = 4
COMPARED = ("loss", "grad_norm", "learning_rate", "accuracy", "margin", "mean_reward", "num_tokens")
LORA: dict[str, Any] = {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reward")
    make_model(folder / "model", initializer_range=0.2)
    rows = preference_rows(48)
    write_jsonl(folder / "rows.jsonl", rows)
    write_jsonl(folder / "chat.jsonl", preference_rows(48, chat=True))
    margins = [{**row, "margin": i % 3 / 2} for i, row in enumerate(rows)]
    write_jsonl(folder / "margin.jsonl", margins)
    write_jsonl(folder / "held.jsonl", preference_rows(10, seed=5))
    return folder


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [{n: line[n] for n in COMPARED} for line in history if "loss" in line]


def logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ours(folder: Path, output: Path, rows: str = "rows.jsonl", **settings: Any) -> Any:
    given: dict[str, Any] = {
        "algorithm": "reward_modeling",
        "backend": "trl",
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / rows),
        "output_dir": str(output),
        "max_steps": STEPS,
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 3e-3,
        "max_seq_length": 64,
        "logging_steps": 1,
        "seed": 7,
        "precision": "fp32",
        "loggers": "none",
        "peft_enabled": False,
    }
    if settings.get("peft_enabled"):
        given |= {"lora_rank": 4, **LORA}
    trainer = create_rl_trainer(**given | settings)
    assert isinstance(trainer, RewardModelTrainer)
    return trainer


def by_hand(folder: Path, rows: str, output: Path, adapter: bool, **arguments: Any) -> Any:
    """What somebody writes who uses TRL alone."""
    data = Dataset.from_json(str(folder / rows), cache_dir=str(output / "cache"))
    columns = [n for n in ("prompt", "chosen", "rejected", "margin") if n in data.column_names]
    trainer = trl.RewardTrainer(
        model=str(folder / "model"),
        args=trl.RewardConfig(
            output_dir=str(output),
            model_init_kwargs={"dtype": "float32"},
            max_steps=STEPS,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            learning_rate=3e-3,
            weight_decay=0.01,
            optim="adamw_torch",
            lr_scheduler_type="cosine",
            max_length=64,
            gradient_checkpointing=False,
            logging_steps=1,
            seed=7,
            data_seed=47,
            bf16=False,
            fp16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            **arguments,
        ),
        train_dataset=data.select_columns(columns),
        peft_config=LoraConfig(task_type="SEQ_CLS", r=4, **LORA) if adapter else None,
    )
    trainer.train()
    return by_step(trainer.state.log_history)


@pytest.mark.parametrize(
    ("rows", "adapter", "settings"),
    [
        ("rows.jsonl", False, {}),
        ("rows.jsonl", True, {}),
        ("chat.jsonl", False, {"center_rewards_coefficient": 0.1}),
        ("margin.jsonl", False, {}),
    ],
    ids=["full", "lora", "chat, centered", "margin"],
)
def test_a_reward_model_has_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, rows: str, adapter: bool, settings: dict[str, Any]
) -> None:
    expected = by_hand(folder, rows, tmp_path / "raw", adapter, **settings)
    assert len({line["loss"] for line in expected}) == STEPS
    run = ours(folder, tmp_path / "ours", rows, peft_enabled=adapter, **settings).train()
    assert by_step(logged(run.metrics)) == expected


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    folder: Path, tmp_path: Path, adapter: bool
) -> None:
    settings = {"save_interval": 2, "peft_enabled": adapter}
    whole = ours(folder, tmp_path / "whole", **settings)
    whole.train()
    ours(folder, tmp_path / "halved", **settings, stop_after_steps=2).train()
    halved = ours(folder, tmp_path / "halved", **settings)
    halved.train(resume=True)
    weights = whole.trainer.model.state_dict()
    for name, tensor in halved.trainer.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_accuracy_and_margin_are_measured_on_rows_that_are_held_out(
    folder: Path, tmp_path: Path
) -> None:
    trainer = ours(
        folder,
        tmp_path / "run",
        eval_datasets=[str(folder / "held.jsonl")],
        before_training=True,
        per_device_eval_batch_size=4,  # of ten rows: the last batch is smaller
    )
    run = trainer.train()
    found = {(line["when"], line["name"]): line for line in logged(run.evaluation)}
    assert set(found) == {
        (when, name)
        for when in ("before", "after")
        for name in ("reward_accuracy", "reward_margin")
    }
    rows = logged(folder / "held.jsonl")
    chosen = trainer.predict([row["prompt"] + row["chosen"] for row in rows])
    rejected = trainer.predict([row["prompt"] + row["rejected"] for row in rows])
    margins = [one - other for one, other in zip(chosen, rejected, strict=True)]
    accuracy = sum(margin > 0 for margin in margins) / len(rows)
    assert found["after", "reward_accuracy"]["value"] == accuracy
    margin = found["after", "reward_margin"]["value"]
    assert margin == pytest.approx(sum(margins) / len(rows), abs=1e-6)
    assert found["before", "reward_margin"]["value"] != pytest.approx(margin, abs=1e-4)
    assert "eval_accuracy" in trainer.evaluate()


@pytest.mark.parametrize("rows", ["rows.jsonl", "chat.jsonl"])
def test_what_is_predicted_is_read_as_in_training(folder: Path, tmp_path: Path, rows: str) -> None:
    trainer = ours(folder, tmp_path / "run", rows, max_steps=1)
    trainer.setup()
    row = logged(folder / rows)[0]
    read = trainer.trainer.train_dataset[0]["chosen_ids"]
    with torch.no_grad():
        said = trainer.trainer.model.eval()(input_ids=torch.tensor([read])).logits.item()
    assert trainer.predict([row["prompt"] + row["chosen"]]) == [pytest.approx(said, abs=1e-6)]


def test_what_does_not_belong_to_predict_is_refused(folder: Path, tmp_path: Path) -> None:
    trainer = ours(folder, tmp_path / "run")
    with pytest.raises(ConfigError, match="takes a list of texts"):
        trainer.predict("1+1=2")
    with pytest.raises(ConfigError, match="generates nothing: leave out temperature"):
        trainer.predict(["1+1=2"], temperature=1.0)


@pytest.mark.parametrize(
    ("rows", "adapter"),
    [("rows.jsonl", False), ("chat.jsonl", False), ("rows.jsonl", True)],
    ids=["text", "chat", "lora"],
)
def test_the_model_is_a_reward_that_gives_what_the_trainer_gives(
    folder: Path, tmp_path: Path, rows: str, adapter: bool
) -> None:
    trainer = ours(folder, tmp_path / "run", rows, peft_enabled=adapter)
    run = trainer.train()
    model = run.model
    if adapter:
        with pytest.raises(ConfigError, match=r"aligntune merge .* --output"):
            RewardModelReward(str(model)).load()
        model = merge(run.path, tmp_path / "merged").output
    some = logged(folder / rows)[:5]
    wanted = trainer.predict([row["prompt"] + row["chosen"] for row in some])
    answers = [
        r["chosen"] if isinstance(r["chosen"], str) else r["chosen"][0]["content"] for r in some
    ]
    batch = RewardBatch(answers, prompts=[row["prompt"] for row in some])
    found = RewardModelReward(str(model)).compute_batch(batch)
    assert found == pytest.approx(wanted, abs=1e-5)
    assert len(set(wanted)) == len(some)


def test_the_saved_model_is_one_that_transformers_loads(folder: Path, tmp_path: Path) -> None:
    trainer = ours(folder, tmp_path / "run", max_steps=1)
    run = trainer.train()
    model, info = AutoModelForSequenceClassification.from_pretrained(
        run.model, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert model.config.num_labels == 1
    tokenizer: Any = AutoTokenizer.from_pretrained(run.model)
    assert model.config.pad_token_id == tokenizer.pad_token_id


def test_pairs_of_which_a_side_is_too_long_are_left_out_and_counted(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = preference_rows(12)
    rows[3]["rejected"] = "9" * 100
    write_jsonl(tmp_path / "rows.jsonl", rows)
    settings = {"dataset_name": str(tmp_path / "rows.jsonl"), "max_steps": 1}
    with caplog.at_level(logging.WARNING, "aligntune"):
        run = ours(folder, tmp_path / "run", **settings).train()
    assert "of 1 of 12 pairs to train on, a side is longer than 64 tokens" in caplog.text
    assert json.loads(run.data.read_text())["too_long"] == 1
    with pytest.raises(DataError, match=r"of 12 of 12 pairs .* raise `model.max_seq_length`"):
        ours(folder, tmp_path / "none", **settings, max_seq_length=3).train()


@pytest.mark.parametrize("value", ["much", None, True])
def test_a_margin_that_is_no_number_is_refused(folder: Path, tmp_path: Path, value: Any) -> None:
    rows = [{**row, "margin": value} for row in preference_rows(4)]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    trainer = ours(folder, tmp_path / "run", dataset_name=str(tmp_path / "rows.jsonl"))
    with pytest.raises(DataError, match=f"pair 0 has {value!r}; give every pair a number"):
        trainer.setup()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rewards": ["length"]}, "reward_modeling does not learn from rewards"),
        ({"num_labels": 2}, "a reward model gives one number"),
        ({"evaluation": {"evaluators": ["perplexity"]}}, "completes no prompts"),
        ({"sample_logging": {"enabled": True}}, "completes no prompts"),
        ({"truncation_mode": "keep_start"}, "a pair is left out where a side is longer"),
        ({"group_by_length": True}, "does not know a pair's length"),
        ({"loss_type": "hinge"}, "hinge would not be used: it belongs to"),
        ({"beta": 0.2}, "it belongs to"),
        ({"temperature": 0.2}, "it belongs to"),
    ],
)
def test_what_a_reward_model_would_not_use_is_refused(
    folder: Path, tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        ours(folder, tmp_path / "run", **given, eval_datasets=[str(folder / "held.jsonl")])


def test_a_preview_shows_both_sides_as_they_are_read(folder: Path, tmp_path: Path) -> None:
    trainer = ours(folder, tmp_path / "run", max_seq_length=8)
    found = trainer.preview(rows=1)
    trainer = ours(folder, tmp_path / "run")
    assert [s.role for s in found.rows[0].sequences] == ["chosen", "rejected"]
    read = [token.id for token in found.rows[0].sequences[0].tokens]
    trainer.setup()
    assert read == trainer.trainer.train_dataset[0]["chosen_ids"]
    assert any("the chosen or the rejected is longer than 8 tokens" in w for w in found.warnings)


@pytest.mark.parametrize("name", ["reward_model", "rm"])
def test_other_names_of_the_algorithm(folder: Path, tmp_path: Path, name: str) -> None:
    assert ours(folder, tmp_path / "run", algorithm=name).plan.algorithm.name == "reward_modeling"
