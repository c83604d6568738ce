"""Tasks of a run: measured before and after training and by `evaluate`, without evaluation data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.errors import AlignTuneError, UnavailableError
from aligntune.testing import addition_rows, make_model, write_jsonl

TASK = """\
name: digits
dataset: {rows}
metrics: [exact_match, chrf]
max_new_tokens: 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    make_model(folder / "model")
    rows = write_jsonl(folder / "rows.jsonl", addition_rows(8))
    (folder / "digits.yaml").write_text(TASK.format(rows=rows))
    return folder


@pytest.fixture
def given(folder: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": "trl",
        "output_dir": str(tmp_path / "run"),
        "max_steps": 1,
        "batch_size": 4,
        "save_strategy": "no",
        "loggers": "none",
        "evaluation": {"tasks": [str(folder / "digits.yaml")], "before_training": True},
    }


@pytest.mark.parametrize("algorithm", ["sft", "grpo"])
def test_tasks_are_measured_before_and_after_and_when_asked(
    given: dict[str, Any], algorithm: str
) -> None:
    rewarded = {
        "algorithm": "grpo",
        "rewards": [{"type": "custom", "params": {"reward_function": len}}],
        "max_completion_length": 4,
    }
    create = create_sft_trainer if algorithm == "sft" else create_rl_trainer
    trainer = create(**given, **(rewarded if algorithm == "grpo" else {}))
    run = trainer.train()
    lines = [json.loads(line) for line in run.evaluation.read_text().splitlines()]
    assert [(line["when"], line["name"], line["dataset"], line["n"]) for line in lines] == [
        (when, name, "task digits", 8)
        for when in ("before", "after")
        for name in ("digits/exact_match", "digits/chrf")
    ]
    found = trainer.evaluate()
    assert found["eval_digits/chrf"] == lines[-1]["value"]
    assert "train_loss" in found
    assert "digits/chrf" in run.report.read_text()


@pytest.mark.parametrize(
    ("tasks", "says"),
    [(["digitz"], "digitz"), (["gone.yaml"], "gone.yaml"), (["a", "a"], "one is named twice")],
)
def test_a_task_that_there_is_not_is_named_before_the_model_loads(
    given: dict[str, Any], tasks: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: Any) -> None:
        raise AssertionError("the model is loaded")

    monkeypatch.setattr("aligntune_trl.backend.TRLBackend.load", never)
    with pytest.raises(AlignTuneError, match=says):
        create_sft_trainer(**given | {"evaluation": {"tasks": tasks}}).train()


def test_without_aligntune_eval_the_error_says_what_to_install(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aligntune_eval.runner.runner", None)
    with pytest.raises(UnavailableError, match="pip install aligntune-eval"):
        create_sft_trainer(**given).train()


def test_a_classifier_refuses_tasks(given: dict[str, Any]) -> None:
    with pytest.raises(AlignTuneError, match="a classifier completes nothing"):
        create_sft_trainer(**given, algorithm="text_classification", num_labels=2)
