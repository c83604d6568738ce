"""Rewards that take their time, beside TRL calling the same functions one after the other.

    python benchmarks/rewards.py [--rounds 3] [--completions 1000]

Both sides are handed the same completions by `GRPOTrainer._calculate_rewards`, turn by turn: TRL
with one function per reward, AlignTune with the weighted sum of them. In the second part a verifier
joins them that hangs on 1 % of the rows. For TRL it hangs for `HANG` seconds, since TRL would never
come to an end otherwise; for AlignTune it hangs for ever, and is killed after `TIMEOUT`.
"""

from __future__ import annotations

import argparse
import logging
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from run import table
from trl import GRPOConfig, GRPOTrainer

import aligntune
from aligntune.scoring import RewardFunction
from aligntune.scoring.cache import VALUES
from aligntune.scoring.engine import close_processes
from aligntune.testing import make_model, make_tokenizer
from aligntune_rewards import CodeExecutionReward, MathAccuracyReward

HANG = 5.0
TIMEOUT = 1.0


class Verifier(RewardFunction):
    """Takes about a millisecond, and hangs on rows whose number ends in 07."""

    name = "verifier"
    range = (0.0, 1.0)
    cost = "process"
    timeout = TIMEOUT

    def __init__(self, hang: float) -> None:
        self.hang = hang

    def compute(self, text: str, number: int) -> float:
        if number % 100 == 7:
            time.sleep(self.hang)
        return float(sum(i * i for i in range(10_000)) > len(text))


def rows(count: int, seed: int) -> dict[str, list[Any]]:
    """Completions with mathematics and a program each, no two alike; some are right."""
    draw = random.Random(seed)
    found: dict[str, list[Any]] = {"completions": [], "answer": [], "tests": [], "number": []}
    for number in range(count):
        a, b = draw.randrange(1000), draw.randrange(2, 99)
        wrong = draw.random() < 0.3
        program = f"def f(x):\n    return x * {a} + {b + wrong}\n"
        answer = rf"\boxed{{\frac{{{a * b}}}{{{b}}} x + {seed}}}"
        found["completions"].append(f"```python\n{program}```\nSo it is {answer}.")
        found["answer"].append(f"{a + wrong} x + {seed}")
        found["tests"].append([{"function": "f", "args": [2], "expected": 2 * a + b}])
        found["number"].append(number)
    return found


def one_after_the_other(reward: RewardFunction, names: tuple[str, ...]) -> Any:
    """The same function as TRL's users write it: it scores one completion after the other."""

    def score(completions: list[str], **columns: Any) -> list[float | None]:
        given = [columns[name] for name in names]
        return [
            reward.compute(text, *values) for text, *values in zip(completions, *given, strict=True)
        ]

    score.__name__ = reward.label
    return score


def trainer(folder: Path, functions: list[Any]) -> GRPOTrainer:
    return GRPOTrainer(
        model=str(folder / "model"),
        reward_funcs=functions,
        args=GRPOConfig(
            output_dir=str(folder / "out"), per_device_train_batch_size=2, num_generations=2,
            report_to="none", save_strategy="no", use_cpu=True, bf16=False, max_steps=1,
        ),
        train_dataset=Dataset.from_list([{"prompt": "1="}] * 2),
        processing_class=make_tokenizer(),
    )  # fmt: skip


def seconds(judge: GRPOTrainer, batch: dict[str, list[Any]]) -> float:
    count = len(batch["completions"])
    columns = {name: values for name, values in batch.items() if name != "completions"}
    inputs = [
        {"prompt": "1=", **{name: values[i] for name, values in columns.items()}}
        for i in range(count)
    ]
    VALUES.clear()
    begun = time.perf_counter()
    judge._calculate_rewards(inputs, ["1="] * count, batch["completions"], [[1]] * count)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--completions", type=int, default=1000)
    given = parser.parse_args()
    logging.getLogger("aligntune").setLevel(logging.ERROR)
    maths, code = MathAccuracyReward(), CodeExecutionReward()
    code.load()
    for_ever, for_a_while = Verifier(1e9), Verifier(HANG)
    alone = [one_after_the_other(maths, ("answer",)), one_after_the_other(code, ("tests",))]
    hangs = one_after_the_other(for_a_while, ("number",))
    lines = []
    with tempfile.TemporaryDirectory() as name:
        make_model(Path(name) / "model")
        cases = {
            "`math_accuracy`, `code_execution`": (
                trainer(Path(name), alone),
                trainer(Path(name), [aligntune.rewards(maths, code)]),
            ),
            "and a verifier that hangs on 1 %": (
                trainer(Path(name), [*alone, hangs]),
                trainer(Path(name), [aligntune.rewards(maths, code, for_ever)]),
            ),
        }
        for what, sides in cases.items():
            for side in sides:  # processes are started, modules imported
                seconds(side, rows(8, seed=99))
            found: tuple[list[float], list[float]] = ([], [])
            for turn in range(given.rounds):
                for side, times in zip(sides, found, strict=True):
                    times.append(seconds(side, rows(given.completions, seed=turn)))
            ratios = [trl / ours for trl, ours in zip(*found, strict=True)]
            speed = [given.completions / statistics.median(times) for times in found]
            lines.append(
                [what, f"{speed[0]:.0f}", f"{speed[1]:.0f}",
                 f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"]
            )  # fmt: skip
    print(f"completions per second, median of {given.rounds} turns of {given.completions}\n")
    table(["rewards", "TRL, one after the other", "AlignTune", "ratio"], lines)
    close_processes(for_ever)


if __name__ == "__main__":
    main()
