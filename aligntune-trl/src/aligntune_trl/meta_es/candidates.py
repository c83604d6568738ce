"""The runs inside a Meta-ES run: their settings, and how a candidate is trained and measured.

Every candidate is a run of the inner algorithm from the same weights, on the same data in the same
order, with the same seeds. It depends on its settings alone: neither on the process that it runs in
nor on what ran there before.
"""

from __future__ import annotations

import gc
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.config import UnifiedConfig
from aligntune.config.assemble import Setting
from aligntune.errors import describe
from aligntune.hardware import Hardware
from aligntune.plan import make_plan
from aligntune_trl.meta_es.evolution import Outcome
from aligntune_trl.meta_es.evolved import ORIGIN
from aligntune_trl.meta_es.fitness import check_room, fitness_of, fitness_part

if TYPE_CHECKING:
    from aligntune.plan import Plan
    from aligntune_trl.base import TRLTrainer

__all__ = ["Candidate", "candidate_settings", "inner_settings", "inner_trainer", "run_candidate"]

logger = logging.getLogger("aligntune")

# What is about checkpoints, measurements, logs and when to stop: of the last run alone.
_OF_THE_LAST_RUN = (
    "train.epochs",
    "train.stop_after_steps",
    "train.eval_",
    "train.save_",
    "train.load_best_model_at_end",
    "train.metric_for_best_model",
    "train.greater_is_better",
    "train.early_stopping_",
    "evaluation.",
    "logging.",
)
_KEPT = ("train.eval_accumulation_steps", "logging.log_level")


@dataclass(frozen=True)
class Candidate:
    """A candidate to run; all of it can be sent to another process.

    Attributes:
        iteration: of which it is.
        number: among the candidates of the iteration.
        settings: of its run.
        folder: for what the run writes.
        keep: whether that stays.
        fitness: `meta_es.fitness`.
        k, temperature, most, limit: as `fitness_of` takes them.
    """

    iteration: int
    number: int
    settings: tuple[Setting, ...]
    folder: Path
    keep: bool
    fitness: str | None
    k: int
    temperature: float
    most: int
    limit: int


def inner_settings(plan: Plan, changed: Sequence[Setting]) -> list[Setting]:
    """The settings of the last run inside: those of the whole run, without Meta-ES."""
    config = plan.config
    kept = [
        setting
        for setting in config.settings()
        if setting.path.partition(".")[0] not in ("meta_es", "rewards", "algo", "backend")
        and setting.path != "train.reward_weights"
    ]
    kept.append(Setting("algo", config.meta_es.inner_algorithm, ORIGIN))
    kept.append(Setting("backend", plan.backend.name, ORIGIN))
    kept.append(Setting("rewards", [], ORIGIN))
    for index, reward in enumerate(config.rewards):
        given = {name: getattr(reward, name) for name in sorted(reward.model_fields_set)}
        for name, value in (given | {"type": reward.type, "weight": reward.weight}).items():
            path = f"rewards.{index}.{name}"
            kept.append(Setting(path, value, config.origins.get(path, ORIGIN)))
    if config.train.max_steps is not None:
        kept.append(Setting("train.max_steps", config.train.max_steps, ORIGIN))
    return [*kept, *changed]


def candidate_settings(plan: Plan, changed: Sequence[Setting], folder: Path) -> list[Setting]:
    """The settings of a candidate: `meta_es.T` steps, and nothing written that is not needed."""
    kept = [
        setting
        for setting in inner_settings(plan, changed)
        if not setting.path.startswith(_OF_THE_LAST_RUN) or setting.path.startswith(_KEPT)
    ]
    given = {
        "train.max_steps": plan.config.meta_es.T,
        "train.eval_strategy": "no",
        "train.save_strategy": "no",
        "logging.output_dir": str(folder),
        "logging.loggers": [],
        "logging.disable_tqdm": True,
    }
    return [*kept, *(Setting(path, value, ORIGIN) for path, value in given.items())]


def inner_trainer(settings: Sequence[Setting], outer: Any) -> TRLTrainer:
    """The trainer of a run inside.

    Args:
        settings: of the run.
        outer: the trainer around it, whose plugins and backend it uses.
    """
    config = UnifiedConfig.of(settings)
    plan = make_plan(config, hardware=Hardware.detect(), plugins=outer.plan.plugins)
    trainer: TRLTrainer = plan.algorithm.load()(plan, outer.backend)
    return trainer


def run_candidate(candidate: Candidate, outer: Any) -> tuple[Outcome, float]:
    """Train a candidate and measure it; return what became of it, and how many seconds it took.

    Whatever goes wrong is its outcome, with the reason; it has no fitness then.
    """
    begin = time.perf_counter()
    try:
        with _quiet(unless=candidate.keep):
            outcome = Outcome(_fitness(candidate, outer))
    except Exception as error:  # the boundary between a candidate and the strategy
        logger.debug("a candidate failed", exc_info=True)
        outcome = Outcome(None, describe(error))
    gc.collect()
    _empty_cache()
    if not candidate.keep:
        shutil.rmtree(candidate.folder, ignore_errors=True)
    return outcome, time.perf_counter() - begin


def _fitness(candidate: Candidate, outer: Any) -> float:
    candidate.folder.mkdir(parents=True, exist_ok=True)
    trainer = inner_trainer(candidate.settings, outer)
    inner = trainer.setup()
    check_room(trainer, candidate.most)
    trainer.training = True
    inner.train()
    scorer = trainer.scorer
    assert scorer is not None, "every inner algorithm learns from rewards"
    return fitness_of(
        trainer,
        fitness_part(scorer, candidate.fitness, trainer.plan.plugins),
        seed=trainer.config.train.seed,
        k=candidate.k,
        temperature=candidate.temperature,
        most=candidate.most,
        limit=candidate.limit,
    )


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def _quiet(*, unless: bool) -> Iterator[None]:
    """Let the runs inside log no more than errors, unless every candidate is to be seen.

    What there is to warn of, the last run says once.
    """
    before = logger.level
    if not unless:
        logger.setLevel(max(logging.ERROR, before))
    try:
        yield
    finally:
        logger.setLevel(before)
