"""Reads the two file shapes of lm-eval 0.4: `results_*.json` and `samples_*.jsonl`.

AlignTune's own files have the same shapes and say more under `aligntune`: intervals, and how the
rows make each metric. Of files without it, a metric's rows are trusted only where they give the
number that stands in the results.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.evaluation import Combine, Metric
from aligntune.run.files import read_json, read_jsonl
from aligntune_eval.files.lines import sample_of
from aligntune_eval.files.reading import (
    Result,
    Row,
    combined,
    digest,
    joined,
    numbers,
    plain_text,
    row_of,
    settings_of,
)
from aligntune_eval.files.results import safe_task

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_folder", "read_result_file"]

_STAMP = re.compile(r"_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)\.json$")
# What the two files of lm-eval say of how it measured, beside the model.
_SETTINGS = (
    "limit",
    "gen_kwargs",
    "random_seed",
    "numpy_seed",
    "torch_seed",
    "fewshot_seed",
    "system_instruction_sha",
    "chat_template_sha",
    "fewshot_as_multiturn",
)
_RATIOS = {"word_perplexity": "exp_ratio", "byte_perplexity": "exp_ratio", "bits_per_byte": "ratio"}


def read_folder(folder: Path) -> list[Result]:
    """The newest result of each model and task in `folder` and the folders of models in it.

    The models are in the order in which they were first measured.
    """
    newest: dict[tuple[str, str], Result] = {}
    stamped = []
    for path in (*folder.glob("*.json"), *folder.glob("*/*.json")):
        stamp = _STAMP.search(path.name)
        if stamp is not None and not path.name.startswith("."):
            stamped.append((stamp[1], path))
    for _, path in sorted(stamped):
        newest |= {(result.model, result.task): result for result in read_result_file(path)}
    models = list(dict.fromkeys(model for model, _ in newest))
    return sorted(newest.values(), key=lambda result: models.index(result.model))


def read_result_file(path: Path) -> list[Result]:
    """Every task of one results file, with the samples that lie beside it.

    Raises:
        RunError: if a file is no JSON; names the line.
        EvaluationError: if it holds something else than results.
    """
    written = read_json(path)
    if not isinstance(written, dict) or not isinstance(written.get("results"), dict):
        raise EvaluationError(
            f"{path} holds no results of an evaluation: there is no object under `results`; name a "
            "results_*.json that `aligntune eval` or lm-eval wrote"
        )
    return [_result(path, written, task) for task in written["results"]]


def _result(path: Path, written: Mapping[str, Any], task: str) -> Result:
    measured = _part(written, "results", task)
    counts = _part(written, "n-samples", task)
    stamp = _STAMP.search(path.name)
    samples = _samples_of(path, task, stamp[1]) if stamp else path
    there = stamp is not None and samples.is_file()
    rows = _rows(samples) if there else ()
    notes: list[str] = []
    if rows and counts.get("effective") not in (None, len(rows)):
        notes.append(
            f"{samples.name} holds {len(rows)} of the {counts['effective']} rows that were measured"
        )
    own = _own(written, task)
    if own.get("metrics") is not None:
        metrics = [_own_metric(path, each) for each in own["metrics"]]
    else:
        n = int(counts.get("effective") or measured.get("sample_len") or len(rows))
        better = _part(written, "higher_is_better", task)
        metrics = _foreign_metrics(measured, n, better, rows, notes)
    return Result(
        _model(path, written),
        task,
        tuple(metrics),
        rows,
        _settings(written, task),
        counts.get("original"),
        (path, samples) if there else (path,),
        written.get("date"),
        tuple(notes),
    )


def _samples_of(path: Path, task: str, stamp: str) -> Path:
    """The samples of a task; the name as it is, or as lm-eval's `sanitize_task_name` makes it."""
    plain = path.with_name(f"samples_{task}_{stamp}.jsonl")
    return plain if plain.is_file() else path.with_name(f"samples_{safe_task(task)}_{stamp}.jsonl")


def _own(written: Mapping[str, Any], task: str) -> dict[str, Any]:
    """What AlignTune wrote of a task, beside what lm-eval has a place for."""
    return _part(written.get("aligntune") or {}, "tasks", task)


def _part(written: Mapping[str, Any], name: str, task: str) -> dict[str, Any]:
    found = (written.get(name) or {}).get(task)
    return found if isinstance(found, dict) else {}


def _model(path: Path, written: Mapping[str, Any]) -> str:
    config = written.get("config") or {}
    arguments = config.get("model_args")
    if written.get("model_name"):
        return str(written["model_name"])
    if isinstance(arguments, dict) and arguments.get("pretrained"):
        return str(arguments["pretrained"])
    return path.parent.name


def _settings(written: Mapping[str, Any], task: str) -> dict[str, Any]:
    config = written.get("config") or {}
    found = {
        "task_version": (written.get("versions") or {}).get(task),
        "num_fewshot": (written.get("n-shot") or {}).get(task),
    }
    own = _own(written, task)
    if own.get("settings") is not None:
        found |= settings_of(own["settings"])
    else:
        found |= {name: config[name] for name in _SETTINGS if name in config}
        found |= {name: written[name] for name in _SETTINGS if name in written}
    return {name: value for name, value in found.items() if value is not None}


def _own_metric(path: Path, written: Mapping[str, Any]) -> Metric:
    combine = written.get("combine")
    try:
        return Metric(**{**written, "combine": Combine(**combine) if combine else None})
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{path}: aligntune.metrics: {error}") from error


def _foreign_metrics(
    measured: Mapping[str, Any],
    n: int,
    better: Mapping[str, Any],
    rows: Sequence[Row],
    notes: list[str],
) -> list[Metric]:
    found = []
    for key, value in measured.items():
        name, comma, kind = key.partition(",")
        if not comma or name.endswith("_stderr"):
            continue
        full = name if kind == "none" else f"{name},{kind}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            notes.append(f"{full} is {value!r} in the results, which is no number, and is left out")
            continue
        if not math.isfinite(value):
            notes.append(f"{full} is {value} in the results, and is left out")
            continue
        stderr = measured.get(f"{name}_stderr,{kind}")
        if not isinstance(stderr, int | float) or not math.isfinite(stderr):
            stderr = None
        metric = Metric(
            full, float(value), max(n, 1), stderr, higher_is_better=better.get(name), details={}
        )
        found.append(replace(metric, combine=_how(metric, name, rows)))
    return found


def _how(metric: Metric, name: str, rows: Sequence[Row]) -> Combine | None:
    """How the rows make a metric, if they do: their number must be the one in the results."""
    kind = _RATIOS.get(name)
    made = (
        Combine(kind, f"{metric.name}.top", f"{metric.name}.bottom")  # type: ignore[arg-type]
        if kind
        else Combine("mean", metric.name)
    )
    there = [row for row in rows if made.top in row.values]
    value = combined(made, there) if len(there) == metric.n else None
    if value is not None and math.isclose(value, metric.value, rel_tol=1e-9, abs_tol=1e-12):
        return made
    return None


def _rows(path: Path) -> tuple[Row, ...]:
    """The rows of a samples file; lm-eval writes a line for each filter of a row."""
    found: dict[tuple[Any, int], Row] = {}
    times: Counter[tuple[Any, str]] = Counter()
    for number, line in enumerate(read_jsonl(path), 1):
        try:
            row, kind = _row(line), str(line.get("filter", "none"))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            said = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise EvaluationError(f"{path}:{number}: no sample of an evaluation: {said}") from error
        key = (row.index, times[row.index, kind])
        times[row.index, kind] += 1
        known = found.get(key)
        found[key] = row if known is None else replace(row, values={**known.values, **row.values})
    return tuple(found.values())


def _row(line: Mapping[str, Any]) -> Row:
    if "aligntune" in line:
        return row_of(sample_of(line), line["doc"])
    target, doc, hashed = plain_text(line["target"]), line.get("doc") or {}, line.get("doc_hash")
    return Row(
        joined(hashed, target) if hashed else digest(doc, target),
        int(line["doc_id"]),
        _prompt(line),
        target,
        _completions(line),
        _values(line),
        doc if isinstance(doc, Mapping) else {"doc": doc},
    )


def _arguments(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = line.get("arguments") or {}
    return list(found.values()) if isinstance(found, Mapping) else []


def _prompt(line: Mapping[str, Any]) -> str:
    asked = _arguments(line)
    return plain_text(asked[0].get("arg_0")) if asked else ""


def _completions(line: Mapping[str, Any]) -> tuple[str, ...]:
    """What the model wrote; of likelihoods, each continuation with its log-likelihood."""
    answers = [answer for each in line.get("resps") or [] for answer in each]
    if not answers or not isinstance(answers[0], list | tuple):
        return tuple(map(plain_text, answers))
    asked = [plain_text(each.get("arg_1")) for each in _arguments(line)]
    if len(asked) != len(answers):
        return tuple(str(answer[0]) for answer in answers)
    return tuple(
        f"{text}  (log-likelihood {answer[0]})" for text, answer in zip(asked, answers, strict=True)
    )


def _values(line: Mapping[str, Any]) -> dict[str, float]:
    kind = str(line.get("filter", "none"))
    ending = "" if kind == "none" else f",{kind}"
    given = {name: line[name] for name in line.get("metrics") or [] if name in line}
    found = numbers({f"{name}{ending}": value for name, value in given.items()})
    for name, value in given.items():
        base = _RATIOS.get(name)
        if base and isinstance(value, list | tuple) and len(value) == 2:
            scale = math.log(2) if name == "bits_per_byte" else 1.0
            found[f"{name}{ending}.top"] = -float(value[0]) / scale
            found[f"{name}{ending}.bottom"] = float(value[1])
    return found
