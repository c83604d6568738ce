"""Writes results in lm-eval's two file shapes, so that tools made for it read them.

`<folder>/<model>/results_<time>.json` holds the metrics, `samples_<task>_<time>.jsonl` one line per
row. The shapes are those of lm-eval 0.4 (its `result_schema.py` and `evaluation_tracker.py`); what
AlignTune knows beyond them (interval, n, details) stands under `aligntune`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.evaluation import Evaluation, EvaluationSettings
    from aligntune.evaluation.columns import Rows

__all__ = ["ResultFiles", "write_results"]


@dataclass(frozen=True)
class ResultFiles:
    """The two files of one model on one task."""

    results: Path
    samples: Path


def write_results(
    evaluation: Evaluation,
    folder: str | Path,
    *,
    model: str,
    task: str,
    rows: Rows,
    settings: EvaluationSettings,
) -> ResultFiles:
    """Write both files; each appears whole or not at all.

    `model` is the path or name of the model, `task` the name of what it was measured on, `rows` the
    rows given to the evaluation.
    """
    now = datetime.now(UTC)
    stamp = now.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")
    # lm-eval's readers find task and time by the first and the last underscore.
    task = re.sub(r"\W", "_", task)
    target = Path(folder) / _safe(model)
    target.mkdir(parents=True, exist_ok=True)
    lines = [_sample(sample, rows[sample["row"]], settings) for sample in evaluation.samples]
    files = ResultFiles(target / f"results_{stamp}.json", target / f"samples_{task}_{stamp}.jsonl")
    results = _results(
        evaluation,
        model=model,
        task=task,
        available=len(rows),
        lines=lines,
        settings=settings,
        date=now.timestamp(),
    )
    _write(files.samples, "".join(_json(line) + "\n" for line in lines))
    _write(files.results, _json(results, indent=2) + "\n")
    return files


def _results(
    evaluation: Evaluation,
    *,
    model: str,
    task: str,
    available: int,
    lines: list[dict[str, Any]],
    settings: EvaluationSettings,
    date: float,
) -> dict[str, Any]:
    measured: dict[str, Any] = {"alias": task, "name": task, "sample_len": len(lines)}
    for metric in evaluation.metrics:
        measured[f"{metric.name},none"] = metric.value
        measured[f"{metric.name}_stderr,none"] = "N/A" if metric.stderr is None else metric.stderr
    hashes = "".join(line["doc_hash"] + line["prompt_hash"] + line["target_hash"] for line in lines)
    return {
        "results": {task: measured},
        "group_subtasks": {task: []},
        "configs": {task: {"task": task, "output_type": "generate_until", "num_fewshot": 0}},
        "versions": {task: 1},
        "n-shot": {task: 0},
        "higher_is_better": {task: {m.name: m.higher_is_better for m in evaluation.metrics}},
        "n-samples": {task: {"original": available, "effective": len(lines)}},
        "config": {
            "model": "hf",
            "model_args": {"pretrained": model},
            "batch_size": str(settings.batch_size),
            "batch_sizes": [],
            "limit": settings.max_samples,
            "gen_kwargs": _generation(settings),
            "random_seed": settings.seed,
            "numpy_seed": settings.seed,
            "torch_seed": settings.seed,
        },
        "date": date,
        "transformers_version": importlib.metadata.version("transformers"),
        "task_hashes": {task: _hash(hashes)},
        "model_source": "hf",
        "model_name": model,
        "model_name_sanitized": _safe(model),
        "start_time": date - evaluation.seconds,
        "end_time": date,
        "total_evaluation_time_seconds": str(evaluation.seconds),
        "aligntune": {
            "metrics": [metric.as_dict() for metric in evaluation.metrics],
            "settings": asdict(settings),
        },
    }


def _sample(
    sample: Mapping[str, Any], row: Mapping[str, Any], settings: EvaluationSettings
) -> dict[str, Any]:
    """One line of the samples file."""
    scores = {name: score for name, score in sample.get("scores", {}).items() if score is not None}
    prompt = str(sample.get("prompt", row.get(settings.prompt_column, "")))
    target = str(sample.get("reference", ""))
    if "completion" in sample:
        arguments: dict[str, Any] = {"arg_0": prompt, "arg_1": _generation(settings)}
        responses = [[sample["completion"]]]
    else:
        arguments, responses = {"arg_0": prompt}, []
    measured = {key: sample[key] for key in ("nll", "tokens") if key in sample}
    return {
        "doc_id": sample["row"],
        "doc": dict(row),
        "target": target,
        "arguments": {"gen_args_0": arguments},
        "resps": responses,
        "filtered_resps": [answers[0] for answers in responses],
        "filter": "none",
        "metrics": [*scores, *measured],
        "doc_hash": _hash(_json(dict(row), indent=2)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(target),
        **scores,
        **measured,
    }


def _generation(settings: EvaluationSettings) -> dict[str, Any]:
    return {
        "max_gen_toks": settings.max_new_tokens,
        "do_sample": settings.temperature > 0,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
    }


def _safe(model: str) -> str:
    """A folder name for a model; the rule is lm-eval's."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", model)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, default=str)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
