"""SFT: its losses against their formulas in float64, what each task trains on, what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from aligntune import create_sft_trainer
from aligntune.errors import DataError
from aligntune.testing import addition_rows, make_model, write_jsonl

IGNORED = -100
CHAT = [
    {"role": "user", "content": "1+1="},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "2+2="},
    {"role": "assistant", "content": "4"},
]
# Task, a row, what else is set, what is trained on of it.
TASKS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "instruction_following",
        {"instruction": "Add", "input": "1 1", "output": "2"},
        {},
        "2<|end|>",
    ),
    ("instruction_following", {"instruction": "Say a", "response": "a"}, {}, "a<|end|>"),
    ("supervised_fine_tuning", {"prompt": "1+1=", "completion": "2"}, {}, "2<|end|>"),
    (
        "supervised_fine_tuning",
        {"prompt": "1+1=", "completion": "2"},
        {"completion_only_loss": False},
        "1+1=2<|end|>",
    ),
    ("supervised_fine_tuning", {"prompt": CHAT[:1], "completion": CHAT[1:2]}, {}, "2<|end|>"),
    ("text_generation", {"text": "Once upon"}, {}, "Once upon<|end|>"),
    (
        "chat_completion",
        {"messages": CHAT},
        {},
        "<|user|>1+1=<|assistant|>2<|end|><|user|>2+2=<|assistant|>4<|end|>",
    ),
    ("chat_completion", {"messages": CHAT}, {"assistant_only_loss": True}, "2<|end|>4<|end|>"),
    ("conversation", {"messages": CHAT}, {"assistant_only_loss": True}, "2<|end|>4<|end|>"),
]


# What TRL will take away in its next major release is there in those that are installed.
pytestmark = pytest.mark.filterwarnings("ignore:.*will be removed in v2.0.0:FutureWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sft")
    make_model(folder / "model", initializer_range=0.2)
    return folder


def trainer_on(folder: Path, tmp_path: Path, rows: list[dict[str, Any]], **settings: Any) -> Any:
    given = {
        "model_name": str(folder / "model"),
        "dataset_name": str(write_jsonl(tmp_path / "rows.jsonl", rows)),
        "backend": "trl",
        "output_dir": str(tmp_path / "run"),
        "precision": "fp32",
        "max_steps": 1,
        "max_seq_length": 128,
        "gradient_checkpointing": False,
        "loggers": "none",
    }
    return create_sft_trainer(**(given | settings))


def batch_of(inner: Any, count: int) -> dict[str, Any]:
    return dict(inner.data_collator([inner.train_dataset[index] for index in range(count)]))


@pytest.mark.parametrize("case", TASKS, ids=range(len(TASKS)))
def test_each_task_trains_on_what_it_should(
    folder: Path, tmp_path: Path, case: tuple[str, dict[str, Any], dict[str, Any], str]
) -> None:
    task, row, settings, expected = case
    trainer = trainer_on(folder, tmp_path, [row], task_type=task, **settings)
    inner = trainer.setup()
    assert trainer.plan.algorithm.name == "sft"
    labels = batch_of(inner, 1)["labels"][0]
    assert trainer.tokenizer.decode(labels[labels != IGNORED]) == expected


def by_hand(logits: torch.Tensor, labels: torch.Tensor, loss: str, smoothing: float) -> float:
    """The mean over the tokens that have a label, each predicted from the token before it."""
    losses = []
    for scores, wanted in zip(logits.tolist(), labels.tolist(), strict=True):
        for here, label in zip(scores, wanted[1:], strict=False):
            if label == IGNORED:
                continue
            highest = max(here)
            total = highest + math.log(sum(math.exp(value - highest) for value in here))
            nll = total - here[label]
            weight = math.exp(-nll) if loss == "dft" else 1.0
            spread = sum(total - value for value in here) / len(here)
            losses.append((1 - smoothing) * weight * nll + smoothing * spread)
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("loss", "smoothing"), [("nll", 0.0), ("chunked_nll", 0.0), ("dft", 0.0), ("nll", 0.25)]
)
@pytest.mark.parametrize("only", [True, False], ids=["completion", "all"])
def test_the_loss_is_its_formula(
    folder: Path, tmp_path: Path, loss: str, smoothing: float, only: bool
) -> None:
    settings = {"loss_type": loss, "label_smoothing_factor": smoothing}
    rows = [{"prompt": f"{n}+1=", "completion": "9" * (n + 1)} for n in range(4)]
    inner = trainer_on(folder, tmp_path, rows, completion_only_loss=only, **settings).setup()
    inner.model.double().eval()
    batch = batch_of(inner, 4)
    with torch.no_grad():
        seen = {name: batch[name] for name in ("input_ids", "attention_mask")}
        logits = inner.model(**seen).logits
        expected = by_hand(logits, batch["labels"], loss, smoothing)
        found = inner.compute_loss(inner.model, batch)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_prompts_that_leave_no_room_are_refused_before_the_model_loads(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aligntune_trl.backend.TRLBackend.load", None)
    for chat in (False, True):
        rows = [
            {name: row[name] for name in ("prompt", "completion")}
            for row in addition_rows(8, chat=chat)
        ]
        trainer = trainer_on(folder, tmp_path, rows, max_seq_length=3)
        with pytest.raises(DataError, match=r"of 8 of 8 rows nothing .* fits into 3 tokens; raise"):
            trainer.train()


def test_the_end_of_a_row_always_has_something_to_train_on(folder: Path, tmp_path: Path) -> None:
    settings = {"max_seq_length": 3, "truncation_mode": "keep_end"}
    inner = trainer_on(folder, tmp_path, addition_rows(8), **settings).setup()
    assert len(inner.train_dataset) == 8
