"""DPO: of two letters the later one is preferred, on pairs that were not trained on."""

from __future__ import annotations

from learning import Cell, Task, quiet
from letters import TRAINED, letters, model_of

from aligntune import create_rl_trainer
from aligntune.testing import write_jsonl

HELD_OUT = 200


def run(cell: Cell) -> tuple[float, float]:
    """The share of unseen pairs whose chosen completion has the higher implicit reward."""
    rows = letters(signal=cell.signal)
    trainer = create_rl_trainer(
        **quiet(cell),
        model_name=model_of(cell),
        dataset_name=str(write_jsonl(cell.folder / "rows.jsonl", rows[:TRAINED])),
        eval_datasets=[str(write_jsonl(cell.folder / "held.jsonl", rows[TRAINED:]))],
        algorithm="dpo",
        max_steps=60,
        batch_size=32,
        per_device_eval_batch_size=HELD_OUT,
        learning_rate=1e-2 if cell.adapter else 3e-3,
        beta=0.3,
        max_seq_length=16,
        max_completion_length=2,
    )
    trainer.train()
    # Before training policy and reference are one, so each pair is a tie: half of them, by a coin.
    return 0.5, trainer.evaluate()["eval_rewards/accuracies"]


TASK = Task(
    algorithm="dpo",
    about="of two letters the later one is chosen; in the control, either is",
    metric="share of unseen pairs that are ranked rightly",
    run=run,
    gain=0.35,
    drift=0.15,
)
