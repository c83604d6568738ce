"""Follows the conditions of `watch` while a run trains, and says when one begins to hold."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from aligntune.enums import PrecisionType
from aligntune_trl.watch import GRADIENT, Watch, mends, watches

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from aligntune.plan import Plan
    from aligntune.run import RunDirectory

__all__ = ["MOST", "WatchCallback"]

logger = logging.getLogger("aligntune")

MOST = 3
"""Times that one warning is given in a run."""
SKIPPED = 3  # steps in a row that the gradient scaler of fp16 leaves out while it finds its scale


class WatchCallback(TrainerCallback):
    """Warns, in the log and in warnings.jsonl, where nothing can be learned.

    A warning is given when its condition has held for long enough, and again where it recurs after
    it had ended; at the end of a run also where it held from the first log to the last.

    Args:
        plan: of the run.
        run: where to.
        training: whether what is logged now is of training.
    """

    def __init__(self, plan: Plan, run: RunDirectory, training: Callable[[], bool]) -> None:
        self.plan = plan
        self.run = run
        self.training = training
        self.watches = watches(plan)
        self._free: dict[str, int] = {}  # the last step at which a condition did not hold
        self._logs: dict[str, dict[str, Any]] = {}  # the metrics that showed it last
        self._held: dict[str, bool] = {}  # what the last log that says something said
        self._told: set[str] = set()  # since the condition began to hold
        self._times: Counter[str] = Counter()
        self._start = 0
        self._not_finite = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._start = state.global_step
        for record in self.run.read_jsonl(self.run.warnings):  # of the part that is gone on with
            self._times[str(record.get("name"))] += 1

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not (state.is_world_process_zero and self.training()):
            return
        for watch in self.watches:
            self._follow(watch, kwargs.get("logs") or {}, state.global_step)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        finite = _finite_gradients(kwargs.get("model"))
        self._not_finite = 0 if finite else self._not_finite + 1
        if finite:
            self._told.discard(GRADIENT.name)
        scaled = self.plan.config.model.precision is PrecisionType.FP16
        if self._not_finite > (SKIPPED if scaled else 0) and state.is_world_process_zero:
            self._tell(GRADIENT, {}, state.global_step + 1, state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        for watch in self.watches:
            if self._held.get(watch.name) and watch.name not in self._free:
                logs = self._logs[watch.name]
                self._tell(watch, logs, state.global_step, self._start)

    def _follow(self, watch: Watch, logs: dict[str, Any], step: int) -> None:
        held = watch.holds(logs)
        if held is None:
            return
        self._held[watch.name] = held
        if not held:
            self._free[watch.name] = step
            self._told.discard(watch.name)
            return
        self._logs[watch.name] = dict(logs)
        since = self._free.get(watch.name, self._start)
        if step - since >= watch.steps:
            self._tell(watch, logs, step, since)

    def _tell(self, watch: Watch, logs: dict[str, Any], step: int, since: int) -> None:
        """Give a warning about the steps after `since`, once until its condition ends."""
        if watch.name in self._told or self._times[watch.name] >= MOST:
            return
        self._told.add(watch.name)
        self._times[watch.name] += 1
        seen, advice = watch.seen(logs), mends(watch, self.plan)
        said = "; ".join(f"`{path}`: {what}" for path, what in advice.items())
        steps = f"step {step}" if step - since <= 1 else f"steps {since + 1} to {step}"
        logger.warning("%s at %s: %s. What usually mends it: %s", watch.name, steps, seen, said)
        self.run.append_jsonl(
            self.run.warnings,
            {
                "step": step,
                "since": min(since + 1, step),
                "time": time.time(),
                "name": watch.name,
                "seen": seen,
                "mends": advice,
            },
        )


def _finite_gradients(model: torch.nn.Module | None) -> bool:
    """Whether every gradient is finite, as they are once they were clipped."""
    if model is None:
        return True
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return not grads or bool(torch.isfinite(torch.nn.utils.get_total_norm(grads)))
