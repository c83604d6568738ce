"""SFT: the later of two letters is the completion, of prompts that were not trained on."""

from __future__ import annotations

import random

from learning import Cell, Task, quiet
from letters import TRAINED, letters, model_of

from aligntune import create_sft_trainer
from aligntune.testing import write_jsonl


def rows_of(*, signal: bool) -> list[dict[str, str]]:
    """Two letters and the later of them; the control's completions belong to other prompts."""
    rows = [{"prompt": r["prompt"], "completion": r["chosen"]} for r in letters(signal=True)]
    if not signal:
        answers = [row["completion"] for row in rows[:TRAINED]]
        random.Random(1).shuffle(answers)
        rows[:TRAINED] = [
            row | {"completion": answer} for row, answer in zip(rows, answers, strict=False)
        ]
    return rows


def run(cell: Cell) -> tuple[float, float]:
    """The share of unseen prompts that are completed rightly, before and after training."""
    rows = rows_of(signal=cell.signal)
    trainer = create_sft_trainer(
        **quiet(cell),
        model_name=model_of(cell),
        dataset_name=str(write_jsonl(cell.folder / "rows.jsonl", rows[:TRAINED])),
        max_steps=60,
        batch_size=32,
        learning_rate=1e-2 if cell.adapter else 3e-3,
        max_seq_length=16,
        gradient_checkpointing=False,
    )

    def right() -> float:
        said = trainer.predict([row["prompt"] for row in rows[TRAINED:]], max_new_tokens=1)
        pairs = zip(said, rows[TRAINED:], strict=True)
        return sum(text == row["completion"] for text, row in pairs) / len(said)

    before = right()
    trainer.train()
    return before, right()


TASK = Task(
    algorithm="sft",
    about="of two letters the later one is written; in the control, that of another prompt",
    metric="share of unseen prompts that are completed rightly",
    run=run,
    gain=0.5,
    drift=0.3,
)
