"""Of two letters the later one is right: the task of the algorithms that learn from preferences.

In the control either of the two may be preferred. What is measured is held out: the share of pairs
of letters after which the policy finds the right one likelier.
"""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Callable
from typing import Any

from learning import Cell, Task, quiet

from aligntune import create_rl_trainer
from aligntune.testing import make_model, write_jsonl

__all__ = ["TRAINED", "letters", "letters_task", "model_of"]

TRAINED = 450

Rows = list[dict[str, Any]]


def letters(*, signal: bool) -> Rows:
    """Of two letters the later one is chosen; without the signal, either is."""
    rng = random.Random(0)
    pairs = list(itertools.permutations(string.ascii_lowercase, 2))
    rng.shuffle(pairs)
    rows = []
    for number, pair in enumerate(pairs):
        rejected, chosen = sorted(pair)
        if not signal and number < TRAINED and rng.random() < 0.5:
            rejected, chosen = chosen, rejected
        rows.append({"prompt": ",".join(pair) + ":", "chosen": chosen, "rejected": rejected})
    return rows


def model_of(cell: Cell) -> str:
    """A model of two small layers, which knows nothing."""
    # An adapter leaves the output embeddings as they are, which must be able to say something.
    spread = 0.2 if cell.adapter else 0.02
    size = {"hidden_size": 64, "intermediate_size": 128}
    return str(make_model(cell.folder / "model", seed=cell.seed, initializer_range=spread, **size))


def letters_task(
    algorithm: str,
    *,
    gain: float = 0.3,
    drift: float = 0.15,
    made: Callable[[Rows], Rows] = lambda rows: rows,
    **settings: Any,
) -> Task:
    """The task for an algorithm.

    Args:
        algorithm: the registered name.
        gain: the least that the share of pairs that are ranked rightly must rise.
        drift: the most that it may rise in the control.
        made: from pairs to the rows that the algorithm learns from.
        settings: those of the algorithm.
    """
    return Task(
        algorithm=algorithm,
        about="of two letters the later one is preferred; in the control, either is",
        metric="share of unseen pairs that are ranked rightly",
        run=lambda cell: _run(cell, made, {"algorithm": algorithm, **settings}),
        gain=gain,
        drift=drift,
    )


def _run(cell: Cell, made: Callable[[Rows], Rows], settings: dict[str, Any]) -> tuple[float, float]:
    rows = letters(signal=cell.signal)
    own = {
        "model_name": model_of(cell),
        "dataset_name": str(write_jsonl(cell.folder / "rows.jsonl", made(rows[:TRAINED]))),
        "max_steps": 60,
        "batch_size": 32,
        "learning_rate": 1e-2 if cell.adapter else 3e-3,
        "max_seq_length": 16,
        "max_completion_length": 2,
    }
    trainer: Any = create_rl_trainer(**{**quiet(cell), **own, **settings})
    trainer.setup()
    before = _ranked_rightly(trainer, rows[TRAINED:])
    trainer.train()
    return before, _ranked_rightly(trainer, rows[TRAINED:])


def _ranked_rightly(trainer: Any, rows: Rows) -> float:
    """The share of pairs whose chosen letter is likelier behind the prompt than the other one."""
    import torch

    model, vocabulary = trainer.trainer.model, trainer.tokenizer.get_vocab()
    ids = torch.tensor(trainer.tokenizer([row["prompt"] for row in rows])["input_ids"])
    model.eval()
    with torch.no_grad():
        after = model(input_ids=ids.to(model.device)).logits[:, -1]
    right = sum(
        float(line[vocabulary[row["chosen"]]] > line[vocabulary[row["rejected"]]])
        for line, row in zip(after, rows, strict=True)
    )
    return right / len(rows)
