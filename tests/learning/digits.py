"""Completions that are digits: the task of the algorithms that learn from rewards of completions.

The reward of a completion is its share of digits, out of four characters; in the control it is the
toss of a coin. An algorithm's task says its settings and how many completions are made at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from learning import Cell, Task, quiet

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

__all__ = ["digits_task", "share_of_digits"]

LENGTH = 4  # tokens of a completion, each of which is a character


def share_of_digits(text: str) -> float:
    return sum(character.isascii() and character.isdigit() for character in text) / LENGTH


def digits_task(
    algorithm: str,
    *,
    rollout: int,
    gain: float = 0.25,
    drift: float = 0.1,
    **settings: Any,
) -> Task:
    """The task for an algorithm.

    Args:
        algorithm: the registered name.
        rollout: the completions that are made at once.
        gain: the least that the share of digits must rise.
        drift: the most that it may rise in the control.
        settings: those of the algorithm, and `max_steps`; they go before the task's own.
    """
    return Task(
        algorithm=algorithm,
        about="digits among four characters are rewarded; the control is rewarded by a coin",
        metric="share of digits in completions",
        run=lambda cell: _run(cell, rollout, {"algorithm": algorithm, **settings}),
        gain=gain,
        drift=drift,
    )


def _run(cell: Cell, rollout: int, settings: dict[str, Any]) -> tuple[float, float]:
    """Mean share of digits in the first and in the last five rollouts of a run."""
    # An adapter leaves the output embeddings as they are, which must be able to say something.
    spread = 0.2 if cell.adapter else 0.02
    make_model(cell.folder / "model", seed=cell.seed, initializer_range=spread)
    write_jsonl(cell.folder / "rows.jsonl", addition_rows(256))
    seen: list[float] = []
    own = {
        "model_name": str(cell.folder / "model"),
        "dataset_name": str(cell.folder / "rows.jsonl"),
        "learning_rate": 1e-2 if cell.adapter else 3e-3,
        "lr_scheduler": "constant",
        "temperature": 1.0,
        "top_p": 1.0,
        "max_completion_length": LENGTH,
        "rewards": [{"type": "custom", "params": {"reward_function": _reward(cell, seen)}}],
    }
    create_rl_trainer(**{**quiet(cell), **own, **settings}).train()
    few = 5 * rollout
    return sum(seen[:few]) / few, sum(seen[-few:]) / few


def _reward(cell: Cell, seen: list[float]) -> Callable[..., float]:
    """The reward of a completion; the share of digits in each is added to `seen`."""
    toss = random.Random(cell.seed)

    def reward(text: str, **columns: Any) -> float:
        seen.append(share_of_digits(text))
        return seen[-1] if cell.signal else float(toss.random() < 0.5)

    return reward
