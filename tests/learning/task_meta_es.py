"""Meta-ES: which of two rewards is worth more weight, where fitness is one of them."""

from __future__ import annotations

import json
import random
from typing import Any

from digits import share_of_digits
from learning import Cell, Task, quiet

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

ROLLOUT = 32
ES = {"meta_iterations": 2, "N": 4, "T": 10, "sigma": 1.0, "sigma_decay": 0.9, "alpha": 3.0}


def share_of_letters(text: str, **columns: Any) -> float:
    return sum(character.isascii() and character.isalpha() for character in text) / 4


def run(cell: Cell) -> tuple[float, float]:
    """The share of the reward for digits in the weights, before and after the evolution."""
    make_model(cell.folder / "model", seed=cell.seed, initializer_range=0.2)
    write_jsonl(cell.folder / "rows.jsonl", addition_rows(256))
    write_jsonl(cell.folder / "held.jsonl", addition_rows(128))
    toss = random.Random(cell.seed)

    def digits(text: str, **columns: Any) -> float:
        return share_of_digits(text)

    def coin(text: str, **columns: Any) -> float:
        return float(toss.random() < 0.5)

    functions = {digits: 1.0, share_of_letters: 1.0, coin: 0.0}
    done = create_rl_trainer(
        **quiet(cell),
        model_name=str(cell.folder / "model"),
        dataset_name=str(cell.folder / "rows.jsonl"),
        eval_datasets=[str(cell.folder / "held.jsonl")],
        algorithm="meta_es",
        batch_size=ROLLOUT,
        num_generations=8,
        per_device_eval_batch_size=128,
        learning_rate=3e-2 if cell.adapter else 1e-2,
        lr_scheduler="constant",
        temperature=1.0,
        top_p=1.0,
        max_completion_length=4,
        rewards=[
            {"type": "custom", "weight": weight, "params": {"reward_function": function}}
            for function, weight in functions.items()
        ],
        meta_es={
            **ES,
            "init_scale": 0.0,
            "fitness": "digits" if cell.signal else "coin",
            "eval_max_tokens": 4,
            "eval_temperature": 1.0,
        },
    ).train()
    before, *_ = (json.loads(line)["parameters"] for line in done.iterations.open())
    after = json.loads((done.evolution / "best.json").read_text())["last"]
    return tuple(found["digits"] / sum(found.values()) for found in (before, after))


TASK = Task(
    algorithm="meta_es",
    about="of rewards for digits and for letters, fitness is one; in the control it is a coin",
    metric="share of the reward for digits in the weights",
    run=run,
    gain=0.12,
    drift=0.1,
)
