"""What a run measures and when: listed evaluators and perplexity always, quality metrics seldom.

Quality metrics are those of generated completions that a switch turned on. They take long, so they
see few rows, and run before and after training and in `evaluate()`, not at each evaluation during
training, unless checkpoints are compared by one of them. An evaluator that is listed in
`evaluation.evaluators` always runs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, EvaluationError, Problem
from aligntune.evaluation.best import best_metric, is_own, may_measure
from aligntune.evaluation.protocol import EvaluationSettings
from aligntune.evaluation.run import Evaluation, Prepared, prepare, refuse_twice, resolve
from aligntune.evaluation.switches import switched_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aligntune.config import RunConfig
    from aligntune.config.sections import EvaluatorConfig
    from aligntune.evaluation.best import Measures
    from aligntune.evaluation.columns import Rows
    from aligntune.evaluation.protocol import Evaluator
    from aligntune.plugins import Plugins

__all__ = ["Measurements", "prepare_measurements"]

logger = logging.getLogger("aligntune")


@dataclass(frozen=True)
class Measurements:
    """Prepared evaluators: `always`, and `quality` only where `run` is told so.

    `asked_for`: whether somebody set one of the switches behind `quality`. Where all of them stand
    at their defaults, what goes wrong in them is a warning and does not end the run. `chooses`:
    whether checkpoints are compared by one of `quality`, so that it is measured each time.
    """

    always: tuple[Prepared, ...]
    quality: Prepared | None
    asked_for: bool = True
    chooses: bool = False

    def run(self, model: Any, tokenizer: Any, *, quality: bool) -> Evaluation:
        """Measure a model; see `aligntune.evaluation.Prepared.run`.

        Args:
            model: of the run.
            tokenizer: its tokenizer.
            quality: false at an evaluation in the middle of training.

        Raises:
            EvaluationError: if an evaluator raises; names it.
        """
        found = [prepared.run(model, tokenizer) for prepared in self.always]
        if (quality or self.chooses) and self.quality is not None:
            try:
                found.append(self.quality.run(model, tokenizer))
            except EvaluationError as error:
                if self.asked_for or self.chooses:
                    raise
                logger.warning("metrics that are on by default are left out: %s", error)
        spoken = [each.samples for each in found if any("completion" in s for s in each.samples)]
        metrics = tuple(metric for each in found for metric in each.metrics)
        refuse_twice("metric", [metric.name for metric in metrics])
        return Evaluation(
            metrics,
            next(iter(spoken), []),
            sum(each.seconds for each in found),
        )


def prepare_measurements(
    config: RunConfig,
    rows: Rows | None,
    plugins: Plugins,
    template_arguments: Mapping[str, Any] = MappingProxyType({}),
    own: Measures = MappingProxyType({}),
) -> Measurements | None:
    """Resolve the evaluators of a run and check the rows for them, before any model loads.

    Args:
        config: the configuration of the plan.
        rows: the rows to evaluate on; None if there are none.
        plugins: where the evaluators are looked up.
        template_arguments: further arguments of the chat template, as the run prompts its model.
        own: what the trainer measures by itself, as `settle_best` takes it.

    Returns:
        None if nothing is to be measured.

    Raises:
        ConfigError: if something is to be measured and there are no rows.
        AlignTuneError: as `aligntune.evaluation.prepare` says, for what somebody set.
    """
    wanted = config.evaluation
    switches = switched_on(wanted)
    if not wanted.evaluators and not switches:
        return None
    if rows is None:
        raise ConfigError("evaluators are set and there is no data for them: set `eval_datasets`")
    settings = EvaluationSettings(
        batch_size=wanted.batch_size,
        max_new_tokens=wanted.max_new_tokens,
        temperature=wanted.temperature,
        top_p=wanted.top_p,
        top_k=wanted.top_k,
        num_samples=wanted.num_samples,
        stop=tuple(wanted.stop),
        max_samples=wanted.max_samples,
        seed=config.train.seed,
        chat_template_kwargs=template_arguments,
    )
    most = min(filter(None, (wanted.max_samples, wanted.max_samples_for_quality_metrics)))
    few = replace(settings, max_samples=most)
    always: list[EvaluatorConfig] = list(wanted.evaluators)
    quality: list[Evaluator] = []
    asked_for = False
    for field, entries in switches.items():
        generates = plugins.find(plugins.evaluators, entries[0].type).facts.generates
        given = (with_prompts(rows[:most]), few) if generates else (rows, settings)
        is_set = field in wanted.model_fields_set
        if (fits := _fitting(field, entries, *given, plugins, is_set=is_set)) is None:
            continue
        if generates:
            quality.extend(fits.evaluators)  # they may have loaded models, which they keep
        else:
            always.extend(entries)
        asked_for = asked_for or (generates and is_set)
    seldom = prepare(with_prompts(rows[:most]), quality, few, plugins) if quality else None
    often = tuple(_listed(rows, always, settings, plugins))
    _refuse_taken([each for some in (*often, seldom) if some for each in some.evaluators], own)
    metric = best_metric(config)
    known = metric is None or is_own(metric, own)
    known = known or any(metric in each.measures() for some in often for each in some.evaluators)
    chooses = seldom is not None and not known and may_measure(metric, seldom.evaluators)
    return Measurements(often, seldom, asked_for, chooses)


def _listed(
    rows: Rows, entries: Sequence[EvaluatorConfig], settings: EvaluationSettings, plugins: Plugins
) -> Iterator[Prepared]:
    """Evaluators by the rows that they read: conversations as they are, or up to the answer.

    What measures the work of the others counts among those that generate.
    """
    asked = with_prompts(rows)
    if all(one is other for one, other in zip(asked, rows, strict=True)):
        asked = rows
    whole: list[Evaluator] = []
    generating: list[Evaluator] = []
    last: list[Evaluator] = []
    for entry in entries:
        evaluator = resolve(entry, plugins)
        generates = plugins.find(plugins.evaluators, entry.type).facts.generates
        group = generating if generates or asked is rows else whole
        (last if evaluator.last else group).append(evaluator)
    (generating or whole).extend(last)
    for read, some in ((asked, generating), (rows, whole)):
        if some:
            yield prepare(read, some, settings, plugins)


def _refuse_taken(evaluators: Sequence[Evaluator], own: Measures) -> None:
    """Refuse names that would stand for two numbers: of two evaluators, or the trainer's too."""
    refuse_twice("evaluator", [evaluator.name for evaluator in evaluators])
    refuse_twice("metric", [name for evaluator in evaluators for name in evaluator.measures()])
    for evaluator in evaluators:
        for name in evaluator.measures() or (evaluator.name,):
            if is_own(name, own):
                raise EvaluationError(
                    f"evaluator {evaluator.name!r} measures {name!r}, and so does the trainer; "
                    "give the evaluator another `name` parameter"
                )


def with_prompts(rows: Rows) -> Rows:
    """Rows of one conversation each as a prompt and the assistant's answer that ends it."""
    return [
        {**row, "prompt": row["messages"][:-1], "completion": row["messages"][-1:]}
        if row.get("prompt") is None and _answered(row.get("messages"))
        else row
        for row in rows
    ]


def _answered(messages: Any) -> bool:
    return bool(messages) and len(messages) > 1 and messages[-1].get("role") == "assistant"


def _fitting(
    field: str,
    entries: Sequence[EvaluatorConfig],
    rows: Rows,
    settings: EvaluationSettings,
    plugins: Plugins,
    *,
    is_set: bool,
) -> Prepared | None:
    """The evaluators of a switch, if the rows bring what they need; an error if it was set."""
    try:
        return prepare(rows, entries, settings, plugins)
    except EvaluationError as error:
        if is_set:
            raise ConfigError(Problem(f"evaluation.{field}", str(error))) from error
        logger.info("evaluation.%s is off: %s", field, error)
        return None
