"""Runs the quickstart: the two configuration files, on the road of any other run."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligntune.config import load_config
from aligntune.config.assemble import collect
from aligntune.core.backend_factory import trainer_for
from aligntune.errors import RunError
from aligntune.hardware import Hardware
from aligntune.plan import Plan, make_plan
from aligntune.quickstart.recipe import make
from aligntune.run import RunDirectory

__all__ = ["Stage", "run"]

_OURS = ("model", "data", "sft", "grpo", "sft.yaml", "grpo.yaml", "quickstart.json")


@dataclass(frozen=True)
class Stage:
    """The model after one stage: its accuracy on the held-out problems, and how long it took."""

    name: str
    accuracy: float
    low: float
    high: float
    n: int
    seconds: float


def run(
    folder: Path,
    *,
    seed: int = 0,
    overwrite: bool = False,
    overrides: dict[str, Any] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Stage]:
    """Make everything, train both stages, and write `quickstart.json`.

    Args:
        folder: where everything goes.
        seed: seed of model, data order and sampling.
        overwrite: replace what an earlier quickstart left in the folder.
        overrides: parameters of the GRPO stage to change, such as another reward.
        tell: told what is going on, one line at a time.

    Returns:
        the model untrained, after SFT and after GRPO.

    Raises:
        RunError: if the folder holds an earlier quickstart and `overwrite` is not given.
        AlignTuneError: if a distribution that the quickstart needs is not installed.
    """
    _clear(folder, overwrite=overwrite)
    begun = time.perf_counter()
    tell(f"making a model of 0.8 M parameters and 8,000 sums in {folder}")
    sft_file, grpo_file = make(folder, seed=seed)
    changed = collect(overrides or {}, "quickstart")
    plans = [_plan(sft_file), _plan(grpo_file, changed)]
    made = time.perf_counter() - begun
    measured, seconds = [], []
    for plan in plans:
        tell(f"{plan.algorithm.name}: {plan.config.train.max_steps} steps")
        done, took = _train(plan)
        measured += [row for row in done.read_jsonl(done.evaluation) if row["name"] == "accuracy"]
        seconds.append(took)
    untrained, sft, _, grpo = measured  # each stage measures before and after
    stages = [
        Stage(name, row["value"], row["low"], row["high"], row["n"], took)
        for name, row, took in zip(
            ("untrained", "sft", "grpo"), (untrained, sft, grpo), (made, *seconds), strict=True
        )
    ]
    _write(folder, stages, seed)
    return stages


def _clear(folder: Path, *, overwrite: bool) -> None:
    if not any((folder / name).exists() for name in _OURS):
        return
    if not overwrite:
        raise RunError(
            f"{folder} holds an earlier quickstart; give --overwrite to replace it, or another "
            "--output-dir"
        )
    for name in _OURS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _plan(file: Path, overrides: Any = ()) -> Plan:
    return make_plan(load_config(file, overrides=overrides), hardware=Hardware.detect())


def _train(plan: Plan) -> tuple[RunDirectory, float]:
    """Train, and return the run directory with the seconds spent in training steps alone."""
    done = trainer_for(plan).train()
    metrics = done.read_jsonl(done.metrics)
    return done, next(row["train_runtime"] for row in reversed(metrics) if "train_runtime" in row)


def _write(folder: Path, stages: list[Stage], seed: int) -> None:
    report = {
        "accuracy": {stage.name: stage.accuracy for stage in stages},
        "interval": {stage.name: [stage.low, stage.high] for stage in stages},
        "n": stages[0].n,
        "seconds": {
            ("make" if stage.name == "untrained" else stage.name): round(stage.seconds, 2)
            for stage in stages
        },
        "seed": seed,
    }
    (folder / "quickstart.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
