"""Runs the quickstart: two configuration files and one evaluation, each on the road of any other.

The three models are measured by aligntune-eval's runner, as `aligntune eval` does it.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligntune.config import load_config
from aligntune.config.assemble import collect
from aligntune.core.backend_factory import trainer_for
from aligntune.errors import RunError, UnavailableError
from aligntune.evaluation import EvalTask, TaskCategory
from aligntune.hardware import Hardware
from aligntune.plan import Plan, make_plan
from aligntune.quickstart.recipe import make
from aligntune.run import RunDirectory

__all__ = ["Stage", "measure", "run"]

_OURS = ("model", "data", "sft", "grpo", "sft.yaml", "grpo.yaml", "evaluation", "quickstart.json")
_STAGES = {"untrained": "model", "sft": "sft", "grpo": "grpo"}  # to the folder of its model


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
        the model untrained, after SFT and after GRPO, as `measure` found them.

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
    _runner()
    seconds = []
    for plan in plans:
        tell(f"{plan.algorithm.name}: {plan.config.train.max_steps} steps")
        seconds.append(_train(plan)[1])
    tell("evaluation: three models")
    stages = measure(folder, (made, *seconds))
    _write(folder, stages, seed)
    return stages


def measure(folder: Path, seconds: Sequence[float]) -> list[Stage]:
    """Measure the accuracy of the models in a folder on the held-out problems.

    Results, samples and a page go to its folder `evaluation`; `aligntune eval --compare` reads
    them.

    Args:
        folder: of a quickstart.
        seconds: how long each stage took.
    """
    task = EvalTask(
        name="sums",
        category=TaskCategory.MATH,
        description="sums of two-digit numbers that no model was trained on",
        dataset=str(folder / "data" / "test.jsonl"),
        metrics=("accuracy",),
        max_new_tokens=6,
    )
    models = [folder / place for place in _STAGES.values()]
    found = _runner()(models, [task], output_dir=folder / "evaluation", batch_size=256)
    stages = []
    for name, result, took in zip(_STAGES, found, seconds, strict=True):
        accuracy = result.evaluation.metric("accuracy")
        low, high = accuracy.interval
        stages.append(Stage(name, accuracy.value, low, high, accuracy.n, took))
    return stages


def _runner() -> Callable[..., Any]:
    """`evaluate_models` of aligntune-eval, which core does not need otherwise."""
    try:
        from aligntune_eval.runner.runner import evaluate_models
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "the quickstart measures its models with aligntune-eval, which is not installed: "
            "pip install aligntune-eval"
        ) from error
    return evaluate_models


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
