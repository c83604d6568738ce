"""What a run writes down while it trains: metrics, sample completions, evaluations, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState

from aligntune.errors import ConfigError, EvaluationError, Problem, did_you_mean
from aligntune.evaluation.best import BETTER, METRIC

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from aligntune.evaluation import Metric
    from aligntune.plan import Plan
    from aligntune.run import RunDirectory
    from aligntune.scoring import Scorer

__all__ = [
    "BestMetricCallback",
    "EvaluationCallback",
    "MetricsCallback",
    "NothingLeft",
    "NothingLeftCallback",
    "ProgressCallback",
    "SamplesCallback",
    "ScorerCallback",
    "StopCallback",
    "StopEarlyCallback",
    "add_measured",
    "write_samples",
]

SAMPLES_PER_LOG = 4


class StopCallback(TrainerCallback):
    """Makes a step the last one, as if the run had been that long; its schedule stays as it is."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        state.max_steps = min(state.max_steps, self.steps)


class NothingLeft(Exception):  # noqa: N818 (no error)
    """A run resumes from a checkpoint of its last step."""


class NothingLeftCallback(TrainerCallback):
    """Ends a run that has no step left once all is loaded; transformers would train one more."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step >= state.max_steps:
            raise NothingLeft


class MetricsCallback(TrainerCallback):
    """Appends every log of the trainer to metrics.jsonl."""

    def __init__(self, run: RunDirectory, training: Callable[[], bool]) -> None:
        self.run = run
        self.training = training

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        logs = kwargs.get("logs") or {}
        if state.is_world_process_zero and self.training():
            line = {"step": state.global_step, "epoch": state.epoch, "time": time.time(), **logs}
            self.run.append_jsonl(self.run.metrics, line)


class SamplesCallback(TrainerCallback):
    """Appends completions of the last batch, with their reward breakdown, to samples.jsonl."""

    def __init__(self, run: RunDirectory, scorer: Scorer) -> None:
        self.run = run
        self.scorer = scorer
        self.written = 0

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if "loss" in (kwargs.get("logs") or {}):
            self._write(state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step > self.written:  # a run that ends between two logs
            self._write(state)

    def _write(self, state: TrainerState) -> None:
        last = self.scorer.last
        if last is None or not state.is_world_process_zero:
            return
        self.written = state.global_step
        for index in range(min(SAMPLES_PER_LOG, len(last.texts))):
            sample = {
                "step": state.global_step,
                "prompt": last.prompts[index] if last.prompts else None,
                "completion": last.texts[index],
                "reward": last.totals[index],
                "rewards": {name: values[index] for name, values in last.raw.items()},
                "reference": last.references[index] if last.references else None,
            }
            self.run.append_jsonl(self.run.samples, sample)


class ScorerCallback(TrainerCallback, ExportableState):
    """Keeps the running means of normalized rewards in checkpoints, and still in evaluation.

    The state of such a callback is a part of `trainer_state.json`.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"running": self.scorer.running.state_dict()}}

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        model = kwargs["model"]
        self.scorer.running.learning = lambda: bool(model.training)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Of a run that is resumed, these are the states of the checkpoint, by class.
        states: Any = state.stateful_callbacks
        self.scorer.running.load_state_dict(states[type(self).__name__]["attributes"]["running"])


def write_samples(run: RunDirectory, step: int, samples: Sequence[Mapping[str, Any]]) -> None:
    """Append the first completions of an evaluation, with their scores, to samples.jsonl.

    An evaluation that lets the model generate nothing leaves no samples.
    """
    for sample in samples[:SAMPLES_PER_LOG]:
        if "completion" not in sample:
            continue
        line = {
            "step": step,
            "evaluation": True,
            "prompt": sample.get("prompt"),
            "completion": sample["completion"],
            "reward": None,
            "rewards": sample.get("scores", {}),
            "reference": sample.get("reference"),
        }
        run.append_jsonl(run.samples, line)


def add_measured(own: dict[str, float], found: Mapping[str, float]) -> None:
    """Add what evaluators found to what the trainer measures itself.

    Raises:
        EvaluationError: for a name that stands for two numbers; neither takes the other's place.
    """
    if both := sorted(name for name in found if own.get(name, found[name]) != found[name]):
        raise EvaluationError(
            f"an evaluator measures {both[0]!r}, and so does the trainer; give the evaluator "
            "another `name` parameter"
        )
    own.update(found)


class EvaluationCallback(TrainerCallback):
    """Runs the configured evaluators whenever the trainer evaluates during training."""

    def __init__(self, measure: Callable[[], list[Metric]]) -> None:
        self.measure = measure
        self.last: list[Metric] = []

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # The trainer chooses the best checkpoint among the metrics of this evaluation.
        self.last = self.measure()
        add_measured(kwargs["metrics"], {f"eval_{each.name}": each.value for each in self.last})


class BestMetricCallback(TrainerCallback):
    """Settles what the plan could not know of `metric_for_best_model`: is it there, which way?

    It comes before whatever compares two checkpoints, and ends a run that cannot be told.
    """

    def __init__(
        self, plan: Plan, measured: EvaluationCallback, training: Callable[[], bool]
    ) -> None:
        self.plan = plan
        self.measured = measured
        self.training = training

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        name = str(args.metric_for_best_model).removeprefix("eval_")
        found = kwargs["metrics"]
        if not self.training():
            return
        if f"eval_{name}" not in found:
            message = f"no evaluation of this run gives {args.metric_for_best_model!r}"
            close = did_you_mean(f"eval_{name}", found)
            raise self._wrong(METRIC, message, close or f"there are: {', '.join(sorted(found))}")
        if "greater_is_better" in self.plan.config.train.model_fields_set:
            return
        better = self._better(name)
        if better is None:
            message = f"it is unset, and neither more nor less {name!r} is better by itself"
            raise self._wrong(BETTER, message, "set it to true or false")
        args.greater_is_better = better

    def _better(self, name: str) -> bool | None:
        """Whether more is better, as the evaluator says that measured it, or else the plan."""
        for metric in self.measured.last:
            if metric.name == name:
                return metric.higher_is_better
        settled = any(v.path == BETTER and v.origin != "default" for v in self.plan.values)
        return self.plan.config.train.greater_is_better if settled else None

    def _wrong(self, path: str, message: str, hint: str) -> ConfigError:
        return ConfigError(Problem(path, message, self.plan.config.origins.get(path, ""), hint))


class StopEarlyCallback(EarlyStoppingCallback):
    """Stops a run that gets no better; evaluations outside training count for nothing.

    A run that is resumed goes on counting, which transformers does not by itself.
    """

    goes = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.goes = True
        states: Any = state.stateful_callbacks or {}  # of the checkpoint, by class
        kept = states.get(type(self).__name__, self.state())["attributes"]
        self.early_stopping_patience_counter = kept["early_stopping_patience_counter"]
        theirs: Any = super()
        theirs.on_train_begin(args, state, control, **kwargs)

    def on_evaluate(self, *given: Any, **kwargs: Any) -> None:
        if self.goes:
            theirs: Any = super()
            theirs.on_evaluate(*given, **kwargs)

    def on_train_end(self, *given: Any, **kwargs: Any) -> None:
        self.goes = False


class ProgressCallback(TrainerCallback):
    """A progress bar on a terminal; nothing where the output is not one."""

    _SHOWN = ("loss", "reward", "eval_loss")

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.task: TaskID | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        if not state.is_world_process_zero or not sys.stderr.isatty():
            return
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        says = TextColumn("{task.fields[says]}")
        self.progress = Progress(
            TextColumn("training"), *columns, says, console=Console(stderr=True)
        )
        self.progress.start()
        self.task = self.progress.add_task("training", total=state.max_steps, says="")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=state.global_step)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.progress is None or self.task is None:
            return
        logs = kwargs.get("logs") or {}
        says = "  ".join(f"{name} {logs[name]:.4g}" for name in self._SHOWN if name in logs)
        if says:
            self.progress.update(self.task, says=says)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar off the terminal; a run that fails does so too."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
