"""Writes results in lm-eval's two file shapes, so that tools made for it read them.

`<folder>/<model>/results_<time>.json` holds the metrics of one model on all its tasks,
`samples_<task>_<time>.jsonl` one line per row of a task. The shapes are those of lm-eval 0.4.13
(its `result_schema.py` and `evaluation_tracker.py`); what AlignTune knows beyond them stands under
`aligntune`: `tasks.<task>` holds metrics with interval and n, settings, category and what the
numbers rest on.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.redact import redact
from aligntune.run.files import replace_text, to_json
from aligntune_eval.files.lines import generation_arguments, hash_of, line_of, output_type

if TYPE_CHECKING:
    from aligntune.evaluation import EvalTask, Evaluation, EvaluationSettings
    from aligntune.evaluation.columns import Rows

__all__ = ["ResultFiles", "TaskOutcome", "folder_of", "measured", "safe_task", "write_results"]


@dataclass(frozen=True)
class ResultFiles:
    """The file of results of a model, and the samples of one of its tasks."""

    results: Path
    samples: Path


@dataclass(frozen=True)
class TaskOutcome:
    """What one model did on one task.

    `rows`: those that were measured, of `available`. `binding`: what the numbers rest on, by name,
    as `aligntune_eval.runner.store` compares it.
    """

    task: EvalTask
    evaluation: Evaluation
    rows: Rows
    available: int
    settings: EvaluationSettings
    binding: Mapping[str, str] = field(default_factory=dict)


def write_results(
    outcomes: Sequence[TaskOutcome],
    folder: str | Path,
    *,
    model: str,
    base: str | None = None,
    device: str | None = None,
) -> list[ResultFiles]:
    """Write the files of one model; each appears whole or not at all, the results last.

    `model` is the path or name of the model, and `base` that of its base, where it is an adapter.
    The names of the tasks must differ.
    """
    # Only what users wrote into settings can hold a secret; a task or metric may be called one.
    model, base = redact(model), redact(base)
    now = datetime.now(UTC)
    stamp = now.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")
    target = folder_of(folder, model)
    results = target / f"results_{stamp}.json"
    hashes: dict[str, str] = {}
    files = []
    for outcome in outcomes:
        name = outcome.task.name
        lines = [
            line_of(sample, outcome.rows[sample["row"]], outcome.settings)
            for sample in outcome.evaluation.samples
        ]
        samples = target / f"samples_{safe_task(name)}_{stamp}.jsonl"
        replace_text(samples, "".join(to_json(line) + "\n" for line in lines))
        hashes[name] = hash_of(
            "".join(line["doc_hash"] + line["prompt_hash"] + line["target_hash"] for line in lines)
        )
        files.append(ResultFiles(results, samples))
    written = _results(outcomes, model, base, hashes, now.timestamp())
    written["config"]["device"] = device
    replace_text(results, to_json(written, indent=2) + "\n")
    return files


def folder_of(folder: str | Path, model: str) -> Path:
    """The folder of a model's files; its name is made as lm-eval makes it."""
    return Path(folder).expanduser() / re.sub(r"[\"<>:/|\\?*\[\]]+", "__", model)


def safe_task(name: str) -> str:
    """The name of a task as it stands in names of files: lm-eval's `sanitize_task_name`."""
    return re.sub(r"\W", "_", name)


def _results(
    outcomes: Sequence[TaskOutcome],
    model: str,
    base: str | None,
    hashes: dict[str, str],
    date: float,
) -> dict[str, Any]:
    first = outcomes[0].settings
    seconds = sum(outcome.evaluation.seconds for outcome in outcomes)
    arguments = {"pretrained": model} if base is None else {"pretrained": base, "peft": model}
    systems = {outcome.task.system_prompt for outcome in outcomes}
    system = redact(systems.pop()) if len(systems) == 1 else None
    by_task = {outcome.task.name: outcome for outcome in outcomes}
    return {
        "results": {name: _measured(each) for name, each in by_task.items()},
        "group_subtasks": {name: [] for name in by_task},
        "configs": {name: _config(each) for name, each in by_task.items()},
        "versions": {
            name: each.task.metadata.get("version", each.task.version)
            for name, each in by_task.items()
        },
        "n-shot": {name: each.task.num_fewshot for name, each in by_task.items()},
        "higher_is_better": {
            name: {
                metric.name.partition(",")[0]: metric.higher_is_better
                for metric in each.evaluation.metrics
            }
            for name, each in by_task.items()
        },
        "n-samples": {
            name: {"original": each.available, "effective": len(each.rows)}
            for name, each in by_task.items()
        },
        "config": {
            "model": "hf",
            "model_args": arguments,
            "batch_size": str(first.batch_size),
            "batch_sizes": [],
            "use_cache": None,
            "limit": first.max_samples,
            "gen_kwargs": {},
            "random_seed": first.seed,
            "numpy_seed": first.seed,
            "torch_seed": first.seed,
            "fewshot_seed": outcomes[0].task.fewshot_seed,
        },
        "date": date,
        "transformers_version": importlib.metadata.version("transformers"),
        "task_hashes": hashes,
        "model_source": "hf",
        "model_name": model,
        "model_name_sanitized": folder_of("", model).name,
        "system_instruction": system,
        "system_instruction_sha": None if system is None else hash_of(system),
        "fewshot_as_multiturn": None,
        "chat_template": None,
        "chat_template_sha": None,
        "start_time": date - seconds,
        "end_time": date,
        "total_evaluation_time_seconds": str(seconds),
        "aligntune": {
            "version": importlib.metadata.version("aligntune-eval"),
            "tasks": {name: _ours(each) for name, each in by_task.items()},
        },
    }


def _measured(outcome: TaskOutcome) -> dict[str, Any]:
    """Values by `metric,filter`, as lm-eval has them."""
    name = outcome.task.name
    found: dict[str, Any] = {"alias": name, "name": name, "sample_len": len(outcome.rows)}
    for metric in outcome.evaluation.metrics:
        # Metrics of lm-eval's tasks bring their filter with them.
        metric_name, _, kind = metric.name.partition(",")
        kind = kind or "none"
        found[f"{metric_name},{kind}"] = metric.value
        found[f"{metric_name}_stderr,{kind}"] = "N/A" if metric.stderr is None else metric.stderr
    return found


def _config(outcome: TaskOutcome) -> dict[str, Any]:
    """The task by the names of lm-eval's `TaskConfig`; of a task of lm-eval, its own."""
    task, settings = outcome.task, outcome.settings
    if "config" in task.metadata:
        return dict(task.metadata["config"])
    kind = output_type(outcome.evaluation.samples, outcome.rows, settings)
    asked = {}
    if kind == "generate_until":
        asked["generation_kwargs"] = generation_arguments(settings)
    asked_for = {
        "dataset_path": task.dataset if isinstance(task.dataset, str) else None,
        "dataset_name": task.subset,
        "test_split": task.split,
        "doc_to_text": task.prompt or settings.prompt_column,
        "doc_to_target": task.reference or settings.reference_column,
        "doc_to_choice": task.choices,
        "description": task.description,
        "output_type": kind,
        "num_fewshot": task.num_fewshot,
        "fewshot_split": task.fewshot_split,
        "repeats": settings.num_samples,
        **asked,
        "metadata": {"version": task.version, **task.metadata},
    }
    metrics = [{"metric": metric.name} for metric in outcome.evaluation.metrics]
    return {"task": task.name, **redact(asked_for), "metric_list": metrics}


def measured(evaluation: Evaluation) -> dict[str, Any]:
    """The metrics of an evaluation as JSON values, their details without secrets."""
    metrics = [
        {**metric.as_dict(), "details": redact(dict(metric.details))}
        for metric in evaluation.metrics
    ]
    return {**evaluation.as_dict(), "metrics": metrics}


def _ours(outcome: TaskOutcome) -> dict[str, Any]:
    return {
        "category": str(outcome.task.category),
        "metrics": measured(outcome.evaluation)["metrics"],
        "settings": redact(asdict(outcome.settings)),
        "rows": len(outcome.rows),
        "seconds": outcome.evaluation.seconds,
        "binding": redact(dict(outcome.binding)),
    }
