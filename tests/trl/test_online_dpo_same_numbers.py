"""The same numbers as a hand-written script on TRL's experimental OnlineDPOTrainer, step by step.

Both mean the same where passes are not accumulated and no two rewards are equal. TRL puts the first
completions of all prompts before the second ones, and ours stand side by side; a script that wants
the same completions hands the model its rows in our order, and seeds what draws from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer, TrainerCallback
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

STEPS, PAIRS, LENGTH, BETA, PENALTY = 4, 4, 12, 0.3, 2e4
LORA: dict[str, Any] = {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj"]}
# As TRL names them -> as they are named here.
COMPARED = {
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "logps/chosen": "logps/chosen",
    "logps/rejected": "logps/rejected",
    "rewards/chosen": "rewards/chosen",
    "rewards/margins": "rewards/margins",
    "rewards/accuracies": "rewards/accuracies",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(24))
    return folder


def mixed(text: str, **columns: Any) -> float:
    """A number in which no two different texts agree."""
    return sum(ord(character) * 0.37**place for place, character in enumerate(text))


class Seeded(TrainerCallback):
    """Every step draws its completions from the same numbers."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        torch.manual_seed(state.global_step)


def note_losses(trainer: Any) -> list[float]:
    """The loss of every step, which TRL logs to four digits."""
    losses: list[float] = []
    step = trainer.training_step

    def noted(*given: Any, **named: Any) -> torch.Tensor:
        loss: torch.Tensor = step(*given, **named)
        losses.append(loss.item())
        return loss

    trainer.training_step = noted
    return losses


def in_double(trainer: Any) -> None:
    """Where rounding is far below what is compared."""
    for model in (trainer.model, trainer.ref_model):
        if model is not None:
            model.double()


def side_by_side(model: Any) -> None:
    """Have `model` complete rows (p1, p2, p1, p2) in the order (p1, p1, p2, p2)."""
    generate = model.generate

    def reordered(*, input_ids: Any, attention_mask: Any, **more: Any) -> torch.Tensor:
        order = torch.arange(len(input_ids)).view(2, -1).T.flatten()
        made: torch.Tensor = generate(
            input_ids=input_ids[order], attention_mask=attention_mask[order], **more
        )
        return made[order.argsort()]

    model.generate = reordered


def by_hand(folder: Path, output: Path, order: list[int], adapter: bool, kind: str) -> Any:
    """What somebody writes who uses TRL alone."""
    rows = Dataset.from_json(str(folder / "rows.jsonl"), cache_dir=str(output / "cache"))
    trainer = OnlineDPOTrainer(
        model=str(folder / "model"),
        reward_funcs=lambda prompts, completions, **columns: [mixed(text) for text in completions],
        args=OnlineDPOConfig(
            output_dir=str(output),
            model_init_kwargs={"dtype": "float32", "device_map": None},
            max_steps=STEPS,
            per_device_train_batch_size=PAIRS,
            learning_rate=3e-3,
            weight_decay=0.01,
            warmup_steps=0,
            optim="adamw_torch",
            lr_scheduler_type="cosine",
            train_sampling_strategy="sequential",
            beta=[BETA],
            loss_type=kind,
            missing_eos_penalty=PENALTY,
            max_new_tokens=LENGTH,
            temperature=0.9,
            top_p=1.0,
            gradient_checkpointing=False,
            logging_steps=1,
            seed=7,
            bf16=False,
            fp16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
        ),
        train_dataset=rows.select_columns(["prompt"]).select(order),
        processing_class=AutoTokenizer.from_pretrained(folder / "model", padding_side="left"),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=4, **LORA) if adapter else None,
        callbacks=[Seeded()],
    )
    in_double(trainer)
    side_by_side(trainer.model)
    return trainer


@pytest.mark.parametrize("kind", ["sigmoid", "ipo"])
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_online_dpo_has_the_steps_of_a_hand_written_script(
    folder: Path, tmp_path: Path, adapter: bool, kind: str
) -> None:
    run: Any = create_rl_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / "rows.jsonl"),
        algorithm="online_dpo",
        backend="trl",
        output_dir=str(tmp_path / "ours"),
        rewards=[{"type": "custom", "params": {"reward_function": mixed}}],
        max_steps=STEPS,
        batch_size=2 * PAIRS,
        learning_rate=3e-3,
        lr_scheduler="cosine",
        beta=BETA,
        loss_type=kind,
        missing_eos_penalty=PENALTY,
        max_completion_length=LENGTH,
        temperature=0.9,
        top_p=1.0,
        logging_steps=1,
        seed=7,
        precision="fp32",
        loggers="none",
        peft_enabled=adapter,
        **({"lora_rank": 4, **LORA} if adapter else {}),
    )
    ours = run.setup()
    in_double(ours)
    theirs = by_hand(folder, tmp_path / "raw", list(ours._get_train_sampler())[::2], adapter, kind)
    ours.add_callback(Seeded())
    found, expected = note_losses(ours), note_losses(theirs)
    made = run.train()
    theirs.train()

    assert len(set(expected)) == STEPS
    ended = [line["val/contain_eos_token"] for line in theirs.state.log_history[:STEPS]]
    assert 0 < sum(ended) < STEPS, "completions that all end alike do not show the penalty"
    assert found == pytest.approx(expected, rel=1e-9)
    lines = [json.loads(line) for line in made.metrics.read_text().splitlines()]
    lines = [line for line in lines if "loss" in line]
    for line, other in zip(lines, theirs.state.log_history, strict=False):
        for name, named in COMPARED.items():
            assert line[named] == pytest.approx(other[name], rel=1e-6, abs=1e-9), name
    weights = dict(ours.model.named_parameters())
    for name, weight in theirs.model.named_parameters():
        torch.testing.assert_close(weights[name], weight, rtol=1e-9, atol=1e-9)
