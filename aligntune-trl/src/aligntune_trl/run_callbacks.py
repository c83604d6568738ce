"""Which callbacks a run has: what is written, shown, measured and stopped, and those of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.errors import PluginError
from aligntune_trl.callbacks import (
    BestMetricCallback,
    EvaluationCallback,
    MetricsCallback,
    NothingLeftCallback,
    StopCallback,
    StopEarlyCallback,
)
from aligntune_trl.sampling import CompletionsCallback
from aligntune_trl.watching import WatchCallback

if TYPE_CHECKING:
    from aligntune_trl.base import TRLTrainer

__all__ = ["run_callbacks"]


def run_callbacks(owner: TRLTrainer) -> list[Any]:
    """The callbacks of a run, in the order in which they are called; those of plugins come last.

    After them there is but the one that ends a run without a step left: all others have begun then.
    """
    callbacks: list[Any] = [
        MetricsCallback(owner.run, lambda: owner.training),
        WatchCallback(owner.plan, owner.run, lambda: owner.training),
    ]
    train, samples = owner.config.train, owner.config.logging.sample_logging
    if samples.enabled:
        callbacks.append(
            CompletionsCallback(
                samples,
                owner.sampled,
                owner.tokenizer,
                owner.run,
                seed=train.seed,
                template_arguments=owner.template_arguments,
            )
        )
    if owner.config.train.stop_after_steps is not None:
        callbacks.append(StopCallback(owner.config.train.stop_after_steps))
    if not owner.config.logging.disable_tqdm:
        callbacks.append(owner.progress)
    if owner.eval_data is not None:
        measured = EvaluationCallback(owner.measure_during)
        callbacks.append(measured)
        if train.metric_for_best_model is not None:
            best = BestMetricCallback(owner.plan, measured, lambda: owner.training)
            callbacks.append(best)
    if train.early_stopping_patience is not None:  # it may go by what an evaluator measured
        callbacks.append(
            StopEarlyCallback(train.early_stopping_patience, train.early_stopping_threshold)
        )
    brought = owner.plan.plugins.call("aligntune_trainer_callbacks", plan=owner.plan, run=owner.run)
    for some in brought:
        if not isinstance(some, (list, tuple)):
            raise PluginError(
                "aligntune_trainer_callbacks returns a list of callbacks; a plugin returned "
                f"a {type(some).__name__}"
            )
        callbacks.extend(some)
    return [*callbacks, owner.rescue, NothingLeftCallback()]
