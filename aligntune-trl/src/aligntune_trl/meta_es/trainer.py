"""Meta-ES: evolution strategies over what the runs inside are rewarded or regularised by.

Runs inside are those of another algorithm, `meta_es.inner_algorithm`. Many short ones, the
candidates, find the best weights of the rewards or the best mirror map; one last run uses them, and
its model is the model of the whole.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import RLTrainerBase
from aligntune.errors import RunError
from aligntune.run import RunDirectory
from aligntune.run.recorded import recorded
from aligntune.run.starting import refuse_another_run, refuse_inputs_inside
from aligntune.scoring import Scorer
from aligntune_trl.backend import load_tokenizer
from aligntune_trl.bars import library_bars
from aligntune_trl.meta_es.candidates import (
    Candidate,
    candidate_settings,
    inner_settings,
    inner_trainer,
    run_candidate,
)
from aligntune_trl.meta_es.evolution import Best, Outcome, Vector, evolve
from aligntune_trl.meta_es.evolved import Evolved, strategy_of
from aligntune_trl.meta_es.fitness import fitness_part
from aligntune_trl.meta_es.record import EvolutionRecord, finished_candidates
from aligntune_trl.meta_es.workers import Workers, refuse_what_cannot_be_sent

if TYPE_CHECKING:
    from aligntune.plan import Plan
    from aligntune.preview import Preview
    from aligntune_trl.base import TRLTrainer

__all__ = ["MetaESTrainer"]

logger = logging.getLogger("aligntune")

# What fitness is measured on, in which batches; of other runs, that may change as they go on.
_MEASURED = ("eval_datasets", "train.per_device_eval_batch_size")
Result = tuple[Candidate, Outcome, float]


class MetaESTrainer(RLTrainerBase):
    """Evolves what runs are rewarded or regularised by, and trains with the best that is found.

    Attributes:
        run: the run directory.
        evolved: what the vector of parameters means.
    """

    def __init__(self, plan: Plan, backend: Any) -> None:
        super().__init__(plan, backend)
        self.run = RunDirectory(Path(self.config.logging.output_dir))
        self.evolved = Evolved.of(self.config)
        self._inner: TRLTrainer | None = None

    @property
    def inner(self) -> TRLTrainer:
        """The last run inside; before training, one that has not begun."""
        if self._inner is None:
            self._inner = inner_trainer(inner_settings(self.plan, ()), self)
        return self._inner

    def train(self, *, resume: bool = False, overwrite: bool = False) -> RunDirectory:
        """Evolve, train with the best, evaluate, and leave a complete run directory."""
        logging.getLogger("aligntune").setLevel(self.config.logging.log_level)
        self._inner = None
        source = self._source()
        if source is not None and source.path.resolve() == self.run.path.resolve():
            resume, source = True, None
        if overwrite:
            refuse_inputs_inside(self.run, self.config)
            self._check_data()
        self.inner.reserve_repository()
        for earlier in filter(None, (self.run if resume else None, source)):
            refuse_another_run(earlier, self.plan, fixed=_MEASURED)
        self.run = RunDirectory.create(self.run.path, overwrite=overwrite, resume=resume)
        if source is not None and not self.run.candidates.is_file():
            self.run.evolution.mkdir(exist_ok=True)
            shutil.copyfile(source.candidates, self.run.candidates)
        with recorded(self.run, self.plan):
            self._check_data()
            best, same = self._evolve()
            self._last_run(best, resumes=resume and same)
        return self.run

    def _source(self) -> RunDirectory | None:
        """The run that `meta_es.resume` names.

        Raises:
            RunError: if there is none, or it has no candidates.
        """
        named = self.config.meta_es.resume
        if named is None:
            return None
        source = RunDirectory(named)
        if not source.candidates.is_file():
            raise RunError(
                f"meta_es.resume: {named} holds no Meta-ES run with candidates that ended "
                f"({source.candidates} is missing); name its output_dir"
            )
        return source

    def _check_data(self) -> None:
        """Read data and rewards once, so that what is wrong with them is not wrong N times."""
        inner = self.inner
        if self.config.meta_es.num_workers > 1:
            refuse_what_cannot_be_sent(self.config)
        with library_bars(shown=not self.config.logging.disable_tqdm):
            inner.tokenizer = load_tokenizer(inner.plan, padding_side=inner.padding_side)
            inner.prepare_data()
        scorer = inner.scorer
        assert scorer is not None, "every inner algorithm learns from rewards"
        part = fitness_part(scorer, self.config.meta_es.fitness, self.plan.plugins)
        assert inner.eval_data is not None, "the plan requires evaluation data"
        Scorer([part], part.reference_column).check(inner.eval_data.rows.column_names)
        logger.info("fitness is measured by %s on %d rows", part.name, len(inner.eval_data.rows))
        self._inner = None  # what follows loads for itself

    def _evolve(self) -> tuple[Best, bool]:
        """Find the best parameters; tell whether an earlier part of this run had found the same."""
        es = self.config.meta_es
        record = EvolutionRecord(self.run, self.config, self.evolved)
        finished = finished_candidates(self.run, es.N)
        workers = Workers(self.config, es.num_workers) if es.num_workers > 1 else None

        def evaluate(iteration: int, vectors: Vector) -> Sequence[Outcome]:
            here = {n: finished[iteration, n] for n in range(es.N) if (iteration, n) in finished}
            todo = [
                self._candidate(iteration, n, v) for n, v in enumerate(vectors) if n not in here
            ]
            results = self._one_by_one(todo) if workers is None else workers.run(todo)
            for candidate, outcome, seconds in results:
                here[candidate.number] = outcome
                record.candidate(candidate, outcome, seconds)
            return [here[number] for number in range(es.N)]

        record.begin(finished)
        try:
            best, last = evolve(
                strategy_of(self.config),
                self.evolved.first(self.config),
                evaluate,
                iterations=es.meta_iterations,
                patience=es.patience,
                min_delta=es.min_delta,
                tell=record.iteration,
            )
        finally:
            record.close()
            if workers is not None:
                workers.close()
            if not es.debug_mode:
                shutil.rmtree(self.run.evolution / "candidates", ignore_errors=True)
        return best, record.best(best, last)

    def _candidate(self, iteration: int, number: int, vector: Vector) -> Candidate:
        es = self.config.meta_es
        folder = self.run.evolution / "candidates" / f"{iteration + 1}-{number + 1}"
        changed = self.evolved.settings(vector, folder)
        return Candidate(
            iteration,
            number,
            tuple(candidate_settings(self.plan, changed, folder)),
            folder,
            es.debug_mode,
            es.fitness,
            es.eval_k,
            es.eval_temperature,
            es.eval_max_tokens,
            es.eval_timeout,
        )

    def _one_by_one(self, candidates: Sequence[Candidate]) -> Iterator[Result]:
        for candidate in candidates:
            yield candidate, *run_candidate(candidate, self)

    def _last_run(self, best: Best, *, resumes: bool) -> None:
        """Train with the best parameters; the model is that of the whole run.

        Args:
            best: the parameters.
            resumes: whether checkpoints that are there are of such a run.
        """
        changed = self.evolved.settings(best.parameters, self.run.evolution)
        es, given = self.config.meta_es, self.config.meta_es.model_fields_set
        if "wandb_project" in given:
            os.environ["WANDB_PROJECT"] = es.wandb_project
        else:
            os.environ.setdefault("WANDB_PROJECT", es.wandb_project)
        self._inner = inner_trainer(inner_settings(self.plan, changed), self)
        if not resumes:
            shutil.rmtree(self.run.checkpoints, ignore_errors=True)
            self.run.truncate_after(-1)
        self._inner.run = self.run
        self._inner.train_from(self.run.last_checkpoint())

    def evaluate(self) -> dict[str, float]:
        return self.inner.evaluate()

    def predict(self, prompts: Sequence[Any], **generation: Any) -> list[str]:
        return self.inner.predict(prompts, **generation)

    def preview(self, rows: int = 3, lengths: int = 1000) -> Preview:
        return self.inner.preview(rows, lengths)

    def save_model(self, path: str | Path | None = None) -> str:
        return self.inner.save_model(path)

    def push_to_hub(self, repo_id: str, *, token: str | None = None, private: bool = False) -> str:
        return self.inner.push_to_hub(repo_id, token=token, private=private)
