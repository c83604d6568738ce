"""Text classification: whether two letters stand in order, on pairs that were not trained on."""

from __future__ import annotations

import random

from learning import Cell, Task, quiet
from letters import TRAINED, letters, model_of

from aligntune import create_sft_trainer
from aligntune.testing import write_jsonl


def ordered(*, signal: bool) -> list[dict[str, str]]:
    """Two letters, and whether they stand in the order of the alphabet; the control's is a coin."""
    rng = random.Random(1)
    rows = []
    for number, row in enumerate(letters(signal=True)):
        label = "up" if row["prompt"].endswith(f"{row['chosen']}:") else "down"
        if number < TRAINED and not signal:
            label = rng.choice(["up", "down"])
        rows.append({"text": row["prompt"], "label": label})
    return rows


def run(cell: Cell) -> tuple[float, float]:
    """Accuracy on unseen texts before and after training."""
    rows = ordered(signal=cell.signal)
    trainer = create_sft_trainer(
        **quiet(cell),
        model_name=model_of(cell),
        dataset_name=str(write_jsonl(cell.folder / "rows.jsonl", rows[:TRAINED])),
        eval_datasets=[str(write_jsonl(cell.folder / "held.jsonl", rows[TRAINED:]))],
        eval_strategy="no",
        load_best_model_at_end=False,
        task_type="text_classification",
        num_labels=2,
        max_steps=100,
        batch_size=32,
        per_device_eval_batch_size=len(rows) - TRAINED,
        learning_rate=1e-2 if cell.adapter else 3e-3,
        max_seq_length=16,
        gradient_checkpointing=False,
    )
    before = trainer.evaluate()["eval_accuracy"]
    trainer.train()
    return before, trainer.evaluate()["eval_accuracy"]


TASK = Task(
    algorithm="text_classification",
    about="whether two letters stand in the order of the alphabet; in the control, a coin says so",
    metric="accuracy on unseen texts",
    run=run,
    gain=0.3,
    drift=0.15,
)
