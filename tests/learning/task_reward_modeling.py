"""Reward modelling: of two letters the later one is preferred, on pairs not trained on."""

from __future__ import annotations

from learning import Cell, Task, quiet
from letters import TRAINED, letters

from aligntune import create_rl_trainer
from aligntune.testing import make_model, write_jsonl


def run(cell: Cell) -> tuple[float, float]:
    """The share of unseen pairs whose chosen completion has the higher reward."""
    rows = letters(signal=cell.signal)
    size = {"hidden_size": 64, "intermediate_size": 128}
    spread = 0.2 if cell.adapter else 0.05
    model = make_model(cell.folder / "model", seed=cell.seed, initializer_range=spread, **size)
    trainer = create_rl_trainer(
        **quiet(cell),
        model_name=str(model),
        dataset_name=str(write_jsonl(cell.folder / "rows.jsonl", rows[:TRAINED])),
        eval_datasets=[str(write_jsonl(cell.folder / "held.jsonl", rows[TRAINED:]))],
        algorithm="reward_modeling",
        max_steps=60,
        batch_size=32,
        per_device_eval_batch_size=len(rows) - TRAINED,
        learning_rate=1e-2 if cell.adapter else 3e-3,
        max_seq_length=16,
    )
    before = trainer.evaluate()["eval_accuracy"]
    trainer.train()
    return before, trainer.evaluate()["eval_accuracy"]


TASK = Task(
    algorithm="reward_modeling",
    about="of two letters the later one is chosen; in the control, either is",
    metric="share of unseen pairs that are ranked rightly",
    run=run,
    gain=0.3,
    drift=0.15,
)
