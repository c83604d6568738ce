"""What a run measures and when: listed evaluators and perplexity always, quality metrics seldom.

Quality metrics are those of generated completions that a switch turned on. They take long, so they
see few rows, and run before and after training and in `evaluate()`, not at each evaluation during
training. An evaluator that is listed in `evaluation.evaluators` always runs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, EvaluationError, Problem
from aligntune.evaluation.protocol import EvaluationSettings
from aligntune.evaluation.run import Evaluation, Prepared, prepare
from aligntune.evaluation.switches import switched_on

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aligntune.config import RunConfig
    from aligntune.config.sections import EvaluatorConfig
    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins

__all__ = ["Measurements", "prepare_measurements"]

logger = logging.getLogger("aligntune")


@dataclass(frozen=True)
class Measurements:
    """Prepared evaluators: `always`, and `quality` only where `run` is told so.

    `asked_for`: whether somebody set one of the switches behind `quality`. Where all of them stand
    at their defaults, what goes wrong in them is a warning and does not end the run.
    """

    always: Prepared | None
    quality: Prepared | None
    asked_for: bool = True

    def run(self, model: Any, tokenizer: Any, *, quality: bool) -> Evaluation:
        """Measure a model; see `aligntune.evaluation.Prepared.run`.

        Raises:
            EvaluationError: if an evaluator raises; names it.
        """
        found = []
        if self.always is not None:
            found.append(self.always.run(model, tokenizer))
        if quality and self.quality is not None:
            try:
                found.append(self.quality.run(model, tokenizer))
            except EvaluationError as error:
                if self.asked_for:
                    raise
                logger.warning("metrics that are on by default are left out: %s", error)
        spoken = [each.samples for each in found if any("completion" in s for s in each.samples)]
        return Evaluation(
            tuple(metric for each in found for metric in each.metrics),
            next(iter(spoken), []),
            sum(each.seconds for each in found),
        )


def prepare_measurements(
    config: RunConfig,
    rows: Rows | None,
    plugins: Plugins,
    template_arguments: Mapping[str, Any] = MappingProxyType({}),
) -> Measurements | None:
    """Resolve the evaluators of a run and check the rows for them, before any model loads.

    Args:
        config: the configuration of the plan.
        rows: the rows to evaluate on; None if there are none.
        plugins: where the evaluators are looked up.
        template_arguments: further arguments of the chat template, as the run prompts its model.

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
        max_samples=wanted.max_samples,
        seed=config.train.seed,
        chat_template_kwargs=template_arguments,
    )
    most = min(filter(None, (wanted.max_samples, wanted.max_samples_for_quality_metrics)))
    few = replace(settings, max_samples=most)
    always: list[EvaluatorConfig] = list(wanted.evaluators)
    quality: list[EvaluatorConfig] = []
    asked_for = False
    for field, entries in switches.items():
        generates = plugins.find(plugins.evaluators, entries[0].type).facts.generates
        given = (with_prompts(rows[:most]), few) if generates else (rows, settings)
        is_set = field in wanted.model_fields_set
        if not _fits(field, entries, *given, plugins, is_set=is_set):
            continue
        (quality if generates else always).extend(entries)
        asked_for = asked_for or (generates and is_set)
    return Measurements(
        prepare(rows, always, settings, plugins) if always else None,
        prepare(with_prompts(rows[:most]), quality, few, plugins) if quality else None,
        asked_for,
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


def _fits(
    field: str,
    entries: Sequence[EvaluatorConfig],
    rows: Rows,
    settings: EvaluationSettings,
    plugins: Plugins,
    *,
    is_set: bool,
) -> bool:
    """Whether the rows bring what the evaluators of a switch need; an error if it was set."""
    try:
        prepare(rows, entries, settings, plugins)
    except EvaluationError as error:
        if is_set:
            raise ConfigError(Problem(f"evaluation.{field}", str(error))) from error
        logger.info("evaluation.%s is off: %s", field, error)
        return False
    return True
