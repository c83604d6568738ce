"""What a Meta-ES run writes down, shows, and goes on from.

`candidates.jsonl` is all that a run needs to go on: the parameters of an iteration follow from the
seed and from the fitness of the candidates before it, and JSON keeps every bit of a fitness.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aligntune.run import files
from aligntune_trl.meta_es.evolution import Best, Iteration, Outcome, Vector

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from aligntune.config import RunConfig
    from aligntune.run import RunDirectory
    from aligntune_trl.meta_es.candidates import Candidate
    from aligntune_trl.meta_es.evolved import Evolved

__all__ = ["EvolutionRecord", "finished_candidates"]

logger = logging.getLogger("aligntune")

BEST = "best"  # name of the JSON file and of the tensors
Finished = dict[tuple[int, int], Outcome]


def finished_candidates(run: RunDirectory, population: int) -> Finished:
    """The candidates of a run that ended, by iteration and number.

    Those of an iteration in which all failed, which ended the run, are to be tried again.
    """
    found: Finished = {}
    for line in run.read_jsonl(run.candidates):
        outcome = Outcome(files.as_number(line["fitness"]), line["error"])
        found[line["iteration"] - 1, line["candidate"] - 1] = outcome
    failed = [key for key, outcome in found.items() if outcome.fitness is None]
    hopeless = [k for k, _ in failed if sum(k == other for other, _ in failed) == population]
    return {key: outcome for key, outcome in found.items() if key[0] not in hopeless}


class EvolutionRecord:
    """Files, log lines and progress bar of a Meta-ES run. Everything in them counts from 1.

    Args:
        run: its directory.
        config: its configuration.
        evolved: what its parameters mean.
    """

    def __init__(self, run: RunDirectory, config: RunConfig, evolved: Evolved) -> None:
        self.run = run
        self.config = config
        self.evolved = evolved
        self.new = 0  # candidates of this iteration that were run just now
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, finished: Finished) -> None:
        """Take up what was finished before; what follows from it is written anew."""
        self.run.iterations.unlink(missing_ok=True)
        if not self.config.logging.disable_tqdm and sys.stderr.isatty():
            self._show(len(finished))

    def candidate(self, candidate: Candidate, outcome: Outcome, seconds: float) -> None:
        """Write down what became of a candidate."""
        line = {
            "iteration": candidate.iteration + 1,
            "candidate": candidate.number + 1,
            "fitness": outcome.fitness,
            "error": outcome.error,
            "seconds": round(seconds, 3),
        }
        self.run.append_jsonl(self.run.candidates, line)
        self.new += 1
        where = f"iteration {line['iteration']}, candidate {line['candidate']}"
        if outcome.fitness is None:
            logger.warning("%s failed, and its pair does not count: %s", where, outcome.error)
        elif self.config.meta_es.debug_mode:
            logger.info("%s: fitness %.6g after %.1f s", where, outcome.fitness, seconds)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1)

    def iteration(self, iteration: Iteration) -> None:
        """Write down an iteration."""
        known = [value for value in iteration.fitness if value is not None]
        mean = sum(known) / len(known)
        line = {
            "iteration": iteration.number + 1,
            "sigma": iteration.sigma,
            "fitness": mean,
            "lowest": min(known),
            "highest": max(known),
            "best": iteration.best.fitness,
            "failed": len(iteration.outcomes) - len(known),
            "parameters": self.evolved.described(iteration.parameters),
        }
        self.run.append_jsonl(self.run.iterations, line)
        says = f"best {iteration.best.fitness:.4g}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, says=says)
        if self.new:
            logger.info(
                "iteration %d of %d: fitness %.4g (%.4g to %.4g), %s",
                line["iteration"],
                self.config.meta_es.meta_iterations,
                mean,
                line["lowest"],
                line["highest"],
                says,
            )
            _log_weights(self.evolved.described(iteration.parameters))
            if line["lowest"] == line["highest"]:
                logger.warning(
                    "iteration %d: every candidate has the fitness %.4g, which tells nothing of "
                    "them; raise `meta_es.sigma` or `meta_es.T`, or evaluate on more rows",
                    line["iteration"],
                    mean,
                )
        self.new = 0

    def best(self, best: Best, last: Vector) -> bool:
        """Write down the best parameters, and those after the last step.

        Returns:
            Whether they are what an earlier part of this run had found too.
        """
        from safetensors.numpy import save_file

        folder = self.run.evolution
        found = {
            "fitness": best.fitness,
            "iteration": best.iteration + 1,
            "candidate": best.candidate + 1,
            "parameters": self.evolved.described(best.parameters),
            "last": self.evolved.described(last),
        }
        path = folder / f"{BEST}.json"
        before: Any = files.read_json(path) if path.is_file() else None
        save_file({BEST: best.parameters, "last": last}, folder / f"{BEST}.safetensors")
        self.run.write_json(path, found)
        logger.info(
            "the best is candidate %d of iteration %d: fitness %.4g",
            found["candidate"],
            found["iteration"],
            best.fitness,
        )
        _log_weights(self.evolved.described(best.parameters))
        return bool(before == files.plain(found))

    def _show(self, done: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        es = self.config.meta_es
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        says = TextColumn("{task.fields[says]}")
        self._bar = Progress(TextColumn("candidates"), *columns, says, console=Console(stderr=True))
        self._bar.start()
        total = es.meta_iterations * es.N
        self._task = self._bar.add_task("candidates", total=total, completed=done, says="")

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _log_weights(weights: Mapping[str, float]) -> None:
    if weights:
        named = (f"{name} {weight:.4g}" for name, weight in weights.items())
        logger.info("its weights: %s", ", ".join(named))
