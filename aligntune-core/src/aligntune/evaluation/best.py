"""What a run chooses its best checkpoint by: is it measured, and is more of it better?

Both are settled before anything loads, as far as evaluators and the trainer say what they measure;
what they do not say shows at the first evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aligntune.errors import AlignTuneError, Problem, did_you_mean
from aligntune.evaluation.run import resolve
from aligntune.evaluation.switches import switched_on

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.config.sections import EvaluatorConfig
    from aligntune.evaluation.protocol import Evaluator
    from aligntune.plugins import Plugins

__all__ = ["BETTER", "METRIC", "Measures", "best_metric", "is_own", "may_measure", "settle_best"]

Measures = Mapping[str, bool | None]
"""Names of metrics (or patterns of them) to whether more is better; None where neither is."""

METRIC, BETTER = "train.metric_for_best_model", "train.greater_is_better"


def best_metric(config: RunConfig) -> str | None:
    """The metric that checkpoints are compared by, without `eval_`; None where none are."""
    metric: str | None = config.train.metric_for_best_model
    if metric is None or config.train.eval_strategy == "no" or not config.has_evaluation_data:
        return None
    return metric.removeprefix("eval_")


def is_own(metric: str, own: Measures) -> bool:
    """Whether a trainer that measures `own` gives `metric`; every trainer gives its loss."""
    return metric == "loss" or bool(_matching(metric, own))


def may_measure(metric: str | None, evaluators: Iterable[Evaluator]) -> bool:
    """Whether one of the evaluators measures `metric`, or may: some do not say what they do."""
    return any(metric in found or not found for found in (each.measures() for each in evaluators))


def settle_best(
    config: RunConfig, plugins: Plugins, own: Measures
) -> tuple[dict[str, str], list[Problem]]:
    """Set `greater_is_better` where it is unset, to what the metric says; say why, and what fails.

    Args:
        config: the configuration of the plan, whose switches are settled; it is changed.
        plugins: where evaluators are looked up.
        own: what the trainer measures by itself, as patterns; empty where it does not say.
    """
    metric = best_metric(config)
    if metric is None:
        return {}, []
    said, all_say = _said(config, plugins)
    directions = [said[metric]] if metric in said else _matching(metric, own)
    if not directions:
        if not own or not all_say or plugins.implements("aligntune_trainer_callbacks"):
            return {}, []
        return {}, [_unknown(metric, said, own)]
    if "greater_is_better" in config.train.model_fields_set:
        return {}, []
    if directions[0] is None:
        message = f"it is unset, and neither more nor less {metric!r} is better by itself"
        return {}, [Problem(BETTER, message, hint="set it to true or false")]
    config.train.__dict__["greater_is_better"] = directions[0]
    return {BETTER: f"default, {'more' if directions[0] else 'less'} {metric} is better"}, []


def _said(config: RunConfig, plugins: Plugins) -> tuple[dict[str, bool | None], bool]:
    """What the evaluators of a run measure, and whether every one of them says so."""
    found: dict[str, bool | None] = {}
    all_say = True
    for entry in _entries(config):
        try:
            measures = resolve(entry, plugins).measures()
        except AlignTuneError:
            measures = {}  # said where the evaluators are prepared, with what would mend it
        all_say = all_say and bool(measures)
        found |= measures
    return found, all_say


def _entries(config: RunConfig) -> Iterator[EvaluatorConfig]:
    yield from config.evaluation.evaluators
    for entries in switched_on(config.evaluation).values():
        yield from entries


def _matching(metric: str, own: Measures) -> list[bool | None]:
    return [better for pattern, better in own.items() if fnmatchcase(metric, pattern)]


def _unknown(metric: str, said: Measures, own: Measures) -> Problem:
    known = sorted(name for name, better in {**own, **said}.items() if better is not None)
    listed = f"among others, it measures {', '.join(known)}"
    guess = did_you_mean(metric, [name for name in known if "*" not in name])
    hint = "; ".join(filter(None, (guess, listed)))
    return Problem(METRIC, f"no evaluation of this run measures {metric!r}", hint=hint)
