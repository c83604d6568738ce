"""What a trainer can do besides training, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from aligntune import create_sft_trainer
from aligntune.core.trainer_base import SFTTrainerBase, TrainerBase
from aligntune.errors import EvaluationError, RunError
from aligntune.evaluation import Metric
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_trl.callbacks import EvaluationCallback

TOKEN = "hf_" + "a" * 34


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainer")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    return folder


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": "trl",
        "output_dir": str(tmp_path / "run"),
        "precision": "fp32",
        "max_steps": 1,
        "loggers": "none",
    }


def test_nothing_loads_before_it_is_asked_for(settings: dict[str, Any], tmp_path: Path) -> None:
    trainer = create_sft_trainer(**settings)
    assert isinstance(trainer, SFTTrainerBase)
    assert isinstance(trainer, TrainerBase)
    assert trainer.trainer is None
    assert not (tmp_path / "run").exists()


def test_evaluate_gives_the_loss_and_the_evaluators(settings: dict[str, Any]) -> None:
    trainer = create_sft_trainer(
        **settings,
        eval_dataset=settings["dataset_name"],
        evaluation={"evaluators": ["perplexity"], "max_samples": 4},
    )
    found = trainer.evaluate()
    assert found["eval_loss"] > 0
    assert found["eval_perplexity"] > 1


def test_no_evaluator_takes_the_place_of_what_the_trainer_measures(
    settings: dict[str, Any],
) -> None:
    rows = {"eval_dataset": settings["dataset_name"]}
    named = {"type": "loss", "params": {"name": "text_loss"}}
    found = create_sft_trainer(**settings, **rows, evaluation={"evaluators": [named]}).evaluate()
    assert {"eval_loss", "eval_text_loss"} <= found.keys()
    trainer: Any = create_sft_trainer(**settings, **rows, evaluation={"evaluators": ["loss"]})
    with pytest.raises(EvaluationError, match="'loss' measures 'loss', and so does the trainer"):
        trainer.prepare_data()
    unsaid = EvaluationCallback(lambda: [Metric("loss", 1.0, 1)])
    with pytest.raises(EvaluationError, match="'eval_loss', and so does the trainer"):
        unsaid.on_evaluate(Any, Any, Any, metrics={"eval_loss": 2.0})  # type: ignore[arg-type]
    unsaid.on_evaluate(Any, Any, Any, metrics={"eval_loss": 1.0})  # type: ignore[arg-type]


def test_evaluate_without_data_measures_the_training_data_and_says_so(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    found = create_sft_trainer(**settings).evaluate()
    assert "what is measured is the training data" in caplog.text
    assert found["train_loss"] > 0
    assert all(name.startswith("train_") for name in found)


def test_predict_completes_as_the_model_alone_would(settings: dict[str, Any]) -> None:
    trainer = create_sft_trainer(**settings)
    prompts = ["1+2=", [{"role": "user", "content": "30+40="}]]
    found = trainer.predict(prompts, max_new_tokens=5)
    model = AutoModelForCausalLM.from_pretrained(settings["model_name"])
    tokenizer = AutoTokenizer.from_pretrained(settings["model_name"])
    expected = []
    chat = tokenizer.apply_chat_template(prompts[1], tokenize=False, add_generation_prompt=True)
    for text in (prompts[0], chat):
        inputs = tokenizer(text, return_tensors="pt")
        made = model.generate(**inputs, max_new_tokens=5, do_sample=False)
        expected.append(
            tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        )
    assert found == expected


def test_a_saved_model_is_the_model(settings: dict[str, Any], tmp_path: Path) -> None:
    trainer = create_sft_trainer(**settings)
    path = trainer.save_model(tmp_path / "mine")
    saved = AutoModelForCausalLM.from_pretrained(path).state_dict()
    given = AutoModelForCausalLM.from_pretrained(settings["model_name"]).state_dict()
    assert all(torch.equal(saved[name], given[name]) for name in given)
    assert AutoTokenizer.from_pretrained(path).chat_template


def test_a_push_that_fails_says_so_without_the_token(settings: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="pushing to 'somebody/model' failed") as caught:
        create_sft_trainer(**settings).push_to_hub("somebody/model", token=TOKEN)
    assert TOKEN not in str(caught.value)


def test_a_chat_template_of_the_configuration_is_used(settings: dict[str, Any]) -> None:
    template = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    trainer = create_sft_trainer(**settings, chat_template=template)
    trainer.setup()
    said = trainer.tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)
    assert said == "[x]"
