"""Token classification: the tag of a word is told by the word before it, on rows not trained on."""

from __future__ import annotations

import random
from typing import Any

from learning import Cell, Task, quiet

from aligntune import create_sft_trainer
from aligntune.testing import make_model, write_jsonl

TRAINED, HELD_OUT = 200, 60
NAMES = ("Ada", "Bob", "Cy", "Dee")
VERBS = ("in", "of", "at")


def sentences(*, signal: bool) -> list[dict[str, Any]]:
    """A name behind a preposition is a place, else a person; the control's tags are drawn."""
    rng = random.Random(0)
    rows = []
    for number in range(TRAINED + HELD_OUT):
        words, tags = [], []
        for _ in range(4):
            place = rng.random() < 0.5
            if place:
                words.append(rng.choice(VERBS))
                tags.append("O")
            words.append(rng.choice(NAMES))
            tags.append("B-LOC" if place else "B-PER")
        if not signal and number < TRAINED:
            tags = [rng.choice(["O", "B-LOC", "B-PER"]) for _ in tags]
        rows.append({"tokens": words, "ner_tags": tags})
    return rows


def run(cell: Cell) -> tuple[float, float]:
    """The F1 of entities on unseen rows before and after training."""
    rows = sentences(signal=cell.signal)
    spread = 0.2 if cell.adapter else 0.02
    model = make_model(cell.folder / "model", seed=cell.seed, initializer_range=spread)
    trainer = create_sft_trainer(
        **quiet(cell),
        model_name=str(model),
        dataset_name=str(write_jsonl(cell.folder / "rows.jsonl", rows[:TRAINED])),
        eval_datasets=[str(write_jsonl(cell.folder / "held.jsonl", rows[TRAINED:]))],
        eval_strategy="no",
        load_best_model_at_end=False,
        task_type="token_classification",
        num_labels=3,
        max_steps=80,
        batch_size=16,
        per_device_eval_batch_size=HELD_OUT,
        learning_rate=1e-2,
        max_seq_length=64,
        gradient_checkpointing=False,
    )
    before = trainer.evaluate()["eval_entity_f1"]
    trainer.train()
    return before, trainer.evaluate()["eval_entity_f1"]


TASK = Task(
    algorithm="token_classification",
    about="a name behind a preposition is a place; in the control, tags are drawn",
    metric="F1 of entities on unseen rows",
    run=run,
    gain=0.5,
    drift=0.25,
)
