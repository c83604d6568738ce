"""The switches of a configuration that turn a metric on, such as `evaluation.compute_rouge`.

A switch that is set is honoured or refused. One that is not set counts where no evaluators are
named and it can: with evaluation data, the evaluator registered and its library installed;
otherwise it is off, and the plan says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.config.sections import EvaluatorConfig
from aligntune.errors import Problem
from aligntune.evaluation.protocol import CUSTOM
from aligntune.scoring.build import missing_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aligntune.config import RunConfig
    from aligntune.config.sections import EvaluationConfig
    from aligntune.plugins import Plugins

__all__ = ["CUSTOM", "SWITCHES", "settle_evaluation", "switched_on"]

SWITCHES = {
    "compute_perplexity": "perplexity",
    "compute_rouge": "rouge",
    "compute_bleu": "bleu",
    "compute_meteor": "meteor",
    "compute_bertscore": "bertscore",
    "compute_semantic_similarity": "semantic_similarity",
    "compute_codebleu": "codebleu",
}
"""Field of `evaluation` -> name of the evaluator that it turns on."""

# Evaluator -> the field that names its model.
_MODELS = {"bertscore": "bertscore_model", "semantic_similarity": "semantic_similarity_model"}


def switched_on(evaluation: EvaluationConfig) -> dict[str, list[EvaluatorConfig]]:
    """The evaluators that the switches ask for beside `evaluators`, by the field that asks."""
    listed = {entry.type for entry in evaluation.evaluators}
    found: dict[str, list[EvaluatorConfig]] = {}
    for field, name in SWITCHES.items():
        if getattr(evaluation, field) and name not in listed:
            params = {"model": getattr(evaluation, _MODELS[name])} if name in _MODELS else {}
            found[field] = [EvaluatorConfig(type=name, params=params)]
    if evaluation.custom_metrics:
        found["custom_metrics"] = [
            EvaluatorConfig(type=CUSTOM, params={"function": function})
            for function in evaluation.custom_metrics
        ]
    return found


def settle_evaluation(config: RunConfig, plugins: Plugins) -> tuple[dict[str, str], list[Problem]]:
    """Turn off the unset switches that cannot count; say why, by path, and what fails.

    Args:
        config: the configuration of the plan; its switches are changed.
        plugins: where the evaluators are looked up.
    """
    why: dict[str, str] = {}
    problems: list[Problem] = []
    evaluation = config.evaluation
    problems += _unsampled(evaluation)
    for field, entries in switched_on(evaluation).items():
        was_set = field in evaluation.model_fields_set
        reason, hint = _obstacle(entries[0].type, config, plugins)
        if evaluation.evaluators and not was_set:
            reason = "`evaluation.evaluators` says what is measured"
        if not reason:
            continue
        if was_set:
            problems.append(Problem(f"evaluation.{field}", reason, hint=hint))
        else:
            evaluation.__dict__[field] = False
            why[f"evaluation.{field}"] = f"default, {reason}"
    return why, problems


def _unsampled(evaluation: EvaluationConfig) -> Iterator[Problem]:
    """What says how to sample where nothing is sampled."""
    if evaluation.temperature > 0:
        return
    wanted = {"top_p": evaluation.top_p < 1, "top_k": evaluation.top_k > 0}
    for field in (name for name, is_given in wanted.items() if is_given):
        message = "`evaluation.temperature` is 0, which takes the likeliest token"
        yield Problem(f"evaluation.{field}", message, hint="set a temperature, or leave it out")
    if evaluation.num_samples > 1:
        message = "`evaluation.temperature` is 0, and every completion would be the same"
        yield Problem("evaluation.num_samples", message, hint="set a temperature above 0")


def _obstacle(name: str, config: RunConfig, plugins: Plugins) -> tuple[str, str]:
    """Why an evaluator cannot measure in this run, and what would help; empty if it can."""
    if not config.has_evaluation_data:
        return "there is no evaluation data", "set `eval_datasets: [{name: ...}]`"
    entries = plugins.evaluators.matching(name)
    if not entries:
        known = ", ".join(plugins.evaluators.names()) or "none"
        return f"no installed plugin has the evaluator {name!r}", f"available: {known}"
    facts: Any = entries[0].facts
    if missing := missing_packages(facts):
        command = f'pip install "{facts.install}"' if facts.install else ""
        return f"it needs {', '.join(missing)}, which is not installed", command
    return "", ""
